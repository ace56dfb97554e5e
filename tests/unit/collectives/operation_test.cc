#include "collectives/wide/operation.h"

#include <gtest/gtest.h>

#include <functional>

#include "collectives/algorithms/algorithms.h"
#include "play.h"

namespace reef::collectives {
namespace {

/// Messages between the operations of all ranks, delivered one by one in an order by chance.
class Network {
 public:
  Network(const Schedule& schedule, std::uint64_t seed)
      : schedule_(std::make_shared<const Schedule>(schedule)), seed_(seed) {
    for (Rank rank = 0; rank < schedule.world; ++rank) {
      buffers_.emplace_back(schedule.elements[rank]);
      for (std::uint64_t i = 0; i < buffers_[rank].size(); ++i)
        buffers_[rank][i] = static_cast<float>((rank + 1) * (i % 64 + 1));
      operations_.push_back(std::make_unique<Operation>(schedule_, rank, buffers_[rank]));
      couriers_.push_back(std::make_unique<Line>(*this, rank));
    }
    right_ = buffers_;
    play(schedule, right_);
  }

  void run() {
    for (Rank rank = 0; rank < schedule_->world; ++rank) operations_[rank]->run(*couriers_[rank]);
  }
  /// Delivers until nothing is under way, or for so many turns.
  void deliver(std::size_t turns = SIZE_MAX) {
    while (turns-- > 0 && !under_way_.empty()) {
      const std::size_t which = stable_hash(std::to_string(seed_ + turn_++)) % under_way_.size();
      const Message message = under_way_[which];
      under_way_.erase(under_way_.begin() + static_cast<std::ptrdiff_t>(which));
      if (message.taken) {
        message.taken();
        continue;
      }
      ASSERT_TRUE(
          operations_[message.to]->received(message.from, message.step, *message.values).ok());
      under_way_.push_back({message.to, message.from, message.step, nullptr, message.on_taken, {}});
    }
  }
  /// All that is under way is lost, messages and the word that they were taken alike.
  void lose_all() { under_way_.clear(); }

  void expect_right() {
    for (Rank rank = 0; rank < schedule_->world; ++rank) {
      EXPECT_TRUE(operations_[rank]->finished()) << rank;
      EXPECT_TRUE(operations_[rank]->waits_for().empty());
    }
    EXPECT_EQ(buffers_, right_);
  }
  Operation& operation(Rank rank) { return *operations_[rank]; }
  std::size_t sent() const { return sent_; }

 private:
  struct Message {
    Rank from, to;
    std::uint32_t step;
    std::shared_ptr<std::vector<float>> values;  ///< null: the word that one was taken
    std::function<void()> taken;
    std::function<void()> on_taken;
  };
  struct Line final : Courier {
    Line(Network& network, Rank rank) : network(network), rank(rank) {}
    void send(Rank to, std::uint32_t step, std::span<const float> values,
              std::function<void()> taken) override {
      ++network.sent_;
      auto copy = std::make_shared<std::vector<float>>(values.begin(), values.end());
      network.under_way_.push_back({rank, to, step, std::move(copy), nullptr, std::move(taken)});
    }
    Network& network;
    Rank rank;
  };

  const std::shared_ptr<const Schedule> schedule_;
  const std::uint64_t seed_;
  std::uint64_t turn_ = 0;
  std::size_t sent_ = 0;
  Buffers<float> buffers_, right_;
  std::vector<std::unique_ptr<Operation>> operations_;
  std::vector<std::unique_ptr<Line>> couriers_;
  std::vector<Message> under_way_;
};

std::vector<Schedule> all_kinds() {
  std::vector<Schedule> all;
  for (const std::uint64_t elements : {0u, 1u, 17u, 64u}) {
    for (const Rank world : {1u, 2u, 4u}) {
      all.push_back(halving_all_reduce(world, elements, 5));
      all.push_back(doubling_all_reduce(world, elements, 5));
    }
    for (const Rank world : {1u, 3u, 5u}) {
      all.push_back(ring_all_reduce(ranks_of(world), elements, 5));
      all.push_back(ring_reduce_scatter(ranks_of(world), elements, 5));
      all.push_back(tree_all_reduce(world, elements, 5));
      all.push_back(broadcast(world, world / 2, elements, 5));
      all.push_back(
          all_to_all(std::vector(world, std::vector<std::uint64_t>(world, elements / world)), 5));
    }
    all.push_back(hierarchical_all_reduce({{0, 1}, {2, 3, 4}}, elements, 5));
  }
  return all;
}

TEST(Operation, DoesEverySchedulesWorkInWhateverOrderMessagesCome) {
  for (const Schedule& schedule : all_kinds()) {
    SCOPED_TRACE(schedule.algorithm + " " + std::to_string(schedule.world));
    for (std::uint64_t seed = 0; seed < 5; ++seed) {
      Network network(schedule, 1000 * seed);
      network.run();
      network.deliver();
      network.expect_right();
    }
  }
}

TEST(Operation, GoesOnAfterBreaksWithWhatWasNotTaken) {
  for (const Schedule& schedule : all_kinds()) {
    SCOPED_TRACE(schedule.algorithm + " " + std::to_string(schedule.world));
    for (std::uint64_t seed = 0; seed < 10; ++seed) {
      Network network(schedule, 1000 * seed);
      network.run();
      for (std::size_t turns = seed; turns < 4 * seed + 10; turns += 7) {
        network.deliver(turns);
        network.lose_all();
        network.run();
      }
      network.deliver();
      network.expect_right();
    }
  }
}

TEST(Operation, SendsAgainOnlyWhatIsMissing) {
  const Schedule schedule = ring_all_reduce(ranks_of(3), 300, 5);
  Network whole(schedule, 1);
  whole.run();
  whole.deliver();
  EXPECT_EQ(whole.sent(), schedule.steps.size());
  Network broken(schedule, 1);
  broken.run();
  broken.deliver(schedule.steps.size());
  broken.lose_all();
  broken.run();
  broken.deliver();
  broken.expect_right();
  // At most what was under way, which chunks of one round are.
  EXPECT_LT(broken.sent(), schedule.steps.size() + schedule.steps.size() / 2);
}

TEST(Operation, SaysForWhomItWaits) {
  Network network(ring_all_reduce(ranks_of(3), 3, 5), 1);
  network.run();
  // To the next it has sent, from the one before it waits.
  EXPECT_EQ(network.operation(0).waits_for(), (std::vector<Rank>{1, 2}));
}

TEST(Operation, RefusesWhatNoStepBringsAndStaysAsItWas) {
  const Schedule schedule = tree_all_reduce(3, 6, 5);
  Network network(schedule, 1);
  network.run();
  const std::vector<float> five(5), six(6);
  EXPECT_EQ(network.operation(0).received(1, 77, five).error().code, Code::kProto);
  EXPECT_EQ(network.operation(0).received(2, 0, five).error().where, "rank 2");
  EXPECT_EQ(network.operation(0).received(1, 0, six).error().code, Code::kProto);
  network.deliver();
  network.expect_right();
}

}  // namespace
}  // namespace reef::collectives
