#include "tests/plugin/group.h"

#include <atomic>
#include <condition_variable>
#include <cstring>
#include <map>
#include <mutex>
#include <utility>
#include <vector>

#include "tests/plugin/device.h"

namespace reef::apart {

namespace {

using namespace ops;  // a plug-in is made of little else

using Id = std::uint64_t;

/// Where the members of one group wait for each other.
class Meeting {
 public:
  explicit Meeting(std::uint32_t world) : sources_(world) {}

  /// Returns when all have come with what they have; `mine` is seen by the others until they have
  /// met again.
  Status meet(std::uint32_t rank, float* mine, Deadline deadline) {
    std::unique_lock lock(mutex_);
    sources_[rank] = mine;
    const std::uint64_t round = round_;
    if (++come_ == sources_.size()) {
      come_ = 0;
      ++round_;
      changed_.notify_all();
      return {};
    }
    const bool met =
        changed_.wait_until(lock, deadline, [&] { return round_ != round || broken_; });
    if (round_ != round) return {};
    broken_ = true;
    changed_.notify_all();
    if (met) return Error{Code::kPeerLost, "twin", "a member is gone"};
    return Error{Code::kTimedOut, "twin", "a member had not come in time"};
  }
  void leave() {
    const std::lock_guard lock(mutex_);
    broken_ = true;
    changed_.notify_all();
  }
  const std::vector<float*>& sources() const { return sources_; }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<float*> sources_;
  std::size_t come_ = 0;
  std::uint64_t round_ = 0;
  bool broken_ = false;
};

class Member final : public DeviceGroup {
 public:
  Member(Apart& device, std::shared_ptr<Meeting> meeting, std::uint32_t rank)
      : device_(device), meeting_(std::move(meeting)), rank_(rank) {}
  ~Member() override { meeting_->leave(); }

  Status all_reduce(std::span<float> values, Deadline deadline) override {
    return sum(values, 0, values.size(), deadline);
  }
  Status reduce_scatter(std::span<float> values, std::span<const std::size_t> bounds,
                        Deadline deadline) override {
    return sum(values, bounds[rank_], bounds[rank_ + 1], deadline);
  }
  Status all_gather(std::span<float> values, std::span<const std::size_t> bounds,
                    Deadline deadline) override {
    return run(values, deadline, [&](const std::vector<float*>& sources) {
      for (std::size_t r = 0; r < sources.size(); ++r) take(r, bounds[r], bounds[r + 1], sources);
    });
  }
  Status broadcast(std::span<float> values, std::uint32_t root, Deadline deadline) override {
    return run(values, deadline,
               [&](const std::vector<float*>& sources) { take(root, 0, values.size(), sources); });
  }

 private:
  /// `work` reads the others' memory and leaves in `found_` what shall stand in ours.
  template <typename Work>
  Status run(std::span<float> values, Deadline deadline, Work work) {
    float* const mine = behind(values);
    found_.assign(values.size(), 0);
    if (!values.empty()) std::memcpy(found_.data(), mine, values.size_bytes());
    ATOLL_TRY(meeting_->meet(rank_, mine, deadline));
    work(meeting_->sources());
    ATOLL_TRY(meeting_->meet(rank_, mine, deadline));
    if (!values.empty()) std::memcpy(mine, found_.data(), values.size_bytes());
    return {};
  }

  float* behind(std::span<float> values) {
    auto* const address = reinterpret_cast<std::byte*>(values.data());
    CHECK(values.empty() || device_.space().holds(address)) << "a buffer that is not the device's";
    device_.synchronize();
    return reinterpret_cast<float*>(address + Space::kDistance);
  }

  /// From the last to the first, which is no leaf tree.
  Status sum(std::span<float> values, std::size_t first, std::size_t last, Deadline deadline) {
    return run(values, deadline, [&](const std::vector<float*>& sources) {
      for (std::size_t i = first; i < last; ++i) {
        found_[i] = 0;
        for (std::size_t r = sources.size(); r-- > 0;) found_[i] += sources[r][i];
      }
    });
  }
  void take(std::size_t from, std::size_t first, std::size_t last,
            const std::vector<float*>& sources) {
    if (first < last)
      std::memcpy(found_.data() + first, sources[from] + first, (last - first) * sizeof(float));
  }

  Apart& device_;
  const std::shared_ptr<Meeting> meeting_;
  const std::uint32_t rank_;
  std::vector<float> found_;
};

Status make_id(std::span<std::byte> id) {
  static std::atomic<Id> next = 1;
  const Id mine = next++;
  CHECK_EQ(id.size(), sizeof mine);
  std::memcpy(id.data(), &mine, sizeof mine);
  return {};
}

Result<std::unique_ptr<DeviceGroup>> join(Context& context, std::span<const std::byte> id,
                                          std::uint32_t rank, std::uint32_t world,
                                          Deadline deadline) {
  static std::mutex mutex;
  static std::map<Id, std::shared_ptr<Meeting>> meetings;
  Id which = 0;
  std::memcpy(&which, id.data(), sizeof which);
  std::shared_ptr<Meeting> meeting;
  {
    const std::lock_guard lock(mutex);
    std::shared_ptr<Meeting>& known = meetings[which];
    if (known == nullptr) known = std::make_shared<Meeting>(world);
    meeting = known;
  }
  ATOLL_TRY(meeting->meet(rank, nullptr, deadline));
  return std::unique_ptr<DeviceGroup>(
      std::make_unique<Member>(static_cast<Apart&>(context), std::move(meeting), rank));
}

}  // namespace

const Groups kMeetings = {sizeof(Id), make_id, join};

}  // namespace reef::apart
