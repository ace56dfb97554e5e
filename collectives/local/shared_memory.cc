#include "collectives/local/shared_memory.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <optional>

#include "collectives/local/segment.h"

namespace reef::collectives {
namespace {

/// Elements added at a time, so that intermediate sums stay in the first-level cache.
constexpr std::size_t kBlock = 1024;

/// The leaf tree over `count` sources, of one block.
void add_up(float* out, const float* const* sources, std::size_t count, std::size_t elements) {
  if (count == 1) {
    std::memcpy(out, sources[0], elements * sizeof(float));
    return;
  }
  if (count == 2) {
    for (std::size_t i = 0; i < elements; ++i) out[i] = sources[0][i] + sources[1][i];
    return;
  }
  const std::size_t left = std::bit_ceil(count) / 2;
  float right[kBlock];
  add_up(out, sources, left, elements);
  add_up(right, sources + left, count - left, elements);
  for (std::size_t i = 0; i < elements; ++i) out[i] += right[i];
}

class SharedMemory final : public LocalGroup {
 public:
  SharedMemory(const SharedMemoryOptions& options, std::unique_ptr<Segment> segment)
      : rank_(options.rank), world_(options.world), segment_(std::move(segment)) {
    sources_.resize(world_);
  }

  Rank rank() const override { return rank_; }
  Rank world() const override { return world_; }

  Status all_reduce(std::span<float> values, Deadline deadline) override {
    return run(
        values, messages_of(values), deadline, [&](auto m, auto i) { return give_parts(m, i); },
        [&](auto m, auto i) { return add(m, i, true); },
        [&](auto m, auto i) { return take_parts(m, i, &Seat::summed); });
  }
  Status reduce_scatter(std::span<float> values, Deadline deadline) override {
    return run(
        values, messages_of(values), deadline, [&](auto m, auto i) { return give_parts(m, i); },
        [&](auto m, auto i) { return add(m, i, false); }, [](auto, auto) { return Status(); });
  }
  Status all_gather(std::span<float> values, Deadline deadline) override {
    return run(
        values, messages_of(values), deadline,
        [&](auto m, auto i) { return give(m, piece(rank_, i)); },
        [](auto, auto) { return Status(); },
        [&](auto m, auto i) { return take_parts(m, i, &Seat::given); });
  }
  Status broadcast(std::span<float> values, Rank root, Deadline deadline) override {
    const std::uint64_t messages = (values.size() + chunk() - 1) / chunk();
    return run(
        values, messages, deadline,
        [&](auto m, auto i) { return root == rank_ ? give(m, stretch(i)) : Status(); },
        [](auto, auto) { return Status(); },
        [&](auto m, auto i) {
          return root == rank_ ? Status() : take(m, root, stretch(i), &Seat::given);
        });
  }

 private:
  std::size_t chunk() const { return segment_->chunk(); }
  std::uint64_t messages_of(std::span<const float> values) const {
    return (part_of({0, values.size()}, world_, 0).size() + chunk() - 1) / chunk();
  }
  /// The part of `owner` in message i of an operation.
  Range piece(Rank owner, std::uint64_t i) const {
    const Range part = part_of({0, values_.size()}, world_, owner);
    const std::uint64_t begin = std::min(part.begin + i * chunk(), part.end);
    return {begin, std::min(begin + chunk(), part.end)};
  }
  Range stretch(std::uint64_t i) const {
    return {i * chunk(), std::min<std::uint64_t>((i + 1) * chunk(), values_.size())};
  }

  /// Runs the three stages of each message, each stage a message behind the one before, so that
  /// members wait for each other as little as may be. Every operation counts all three, for the
  /// numbers to mean the same to all.
  template <typename Give, typename Add, typename Take>
  Status run(std::span<float> values, std::uint64_t messages, Deadline deadline, Give give, Add add,
             Take take) {
    if (broken_) return *broken_;
    values_ = values;
    deadline_ = deadline;
    const std::uint32_t before = done_;
    const auto stage = [&](std::uint64_t turn, std::uint64_t behind, auto work,
                           Counter Seat::*counter) -> Status {
      if (turn < behind || turn - behind >= messages) return {};
      const std::uint64_t i = turn - behind;
      ATOLL_TRY(work(before + 1 + static_cast<std::uint32_t>(i), i));
      (own().*counter).advance();
      return {};
    };
    for (std::uint64_t turn = 0; turn < messages + 2; ++turn) {
      Status status = stage(turn, 0, give_when_free(give), &Seat::given);
      if (status.ok()) status = stage(turn, 1, add, &Seat::summed);
      if (status.ok()) status = stage(turn, 2, take, &Seat::taken);
      if (!status.ok()) {
        broken_ = status.error();
        return status;
      }
    }
    done_ = before + static_cast<std::uint32_t>(messages);
    return {};
  }

  /// A slot is free once all others have taken what was in it.
  template <typename Give>
  auto give_when_free(Give give) {
    return [this, give](std::uint32_t message, std::uint64_t i) -> Status {
      ATOLL_TRY(wait_for_others(&Seat::taken, message - Segment::kSlots));
      return give(message, i);
    };
  }

  Status give_parts(std::uint32_t message, std::uint64_t i) {
    for (Rank part = 0; part < world_; ++part) {
      if (part != rank_) copy(segment_->room(rank_, message, part), piece(part, i));
    }
    return {};
  }
  Status give(std::uint32_t message, const Range& range) {
    copy(segment_->room(rank_, message, rank_), range);
    return {};
  }
  void copy(float* to, const Range& range) const {
    if (range.size() > 0)
      std::memcpy(to, values_.data() + range.begin, range.size() * sizeof(float));
  }

  Status add(std::uint32_t message, std::uint64_t i, bool for_others) {
    ATOLL_TRY(wait_for_others(&Seat::given, message));
    const Range own = piece(rank_, i);
    for (Rank rank = 0; rank < world_; ++rank)
      sources_[rank] =
          rank == rank_ ? values_.data() + own.begin : segment_->room(rank, message, rank_);
    float* const shared = segment_->room(rank_, message, rank_);
    for (std::uint64_t at = 0; at < own.size(); at += kBlock) {
      const std::size_t elements = std::min<std::uint64_t>(kBlock, own.size() - at);
      float sum[kBlock];
      add_up(sum, sources_.data(), world_, elements);
      std::memcpy(values_.data() + own.begin + at, sum, elements * sizeof(float));
      if (for_others) std::memcpy(shared + at, sum, elements * sizeof(float));
      for (const float*& source : sources_) source += elements;
    }
    return {};
  }

  Status take_parts(std::uint32_t message, std::uint64_t i, Counter Seat::*ready) {
    for (Rank distance = 1; distance < world_; ++distance) {
      const Rank owner = (rank_ + distance) % world_;
      ATOLL_TRY(take(message, owner, piece(owner, i), ready));
    }
    return {};
  }
  Status take(std::uint32_t message, Rank owner, const Range& range, Counter Seat::*ready) {
    ATOLL_TRY(segment_->wait(owner, ready, message, deadline_));
    if (range.size() > 0)
      std::memcpy(values_.data() + range.begin, segment_->room(owner, message, owner),
                  range.size() * sizeof(float));
    return {};
  }

  Status wait_for_others(Counter Seat::*counter, std::uint32_t message) {
    for (Rank distance = 1; distance < world_; ++distance)
      ATOLL_TRY(segment_->wait((rank_ + distance) % world_, counter, message, deadline_));
    return {};
  }
  Seat& own() { return segment_->seat(rank_); }

  const Rank rank_, world_;
  const std::unique_ptr<Segment> segment_;
  std::vector<const float*> sources_;
  std::uint32_t done_ = 0;  ///< messages of all operations until now
  std::optional<Error> broken_;
  std::span<float> values_;  ///< these two: of the operation that runs
  Deadline deadline_{};
};

}  // namespace

Result<std::unique_ptr<LocalGroup>> join_shared_memory(const SharedMemoryOptions& options,
                                                       Deadline deadline) {
  ATOLL_ASSIGN(auto segment, Segment::open(options, deadline));
  return std::unique_ptr<LocalGroup>(std::make_unique<SharedMemory>(options, std::move(segment)));
}

}  // namespace reef::collectives
