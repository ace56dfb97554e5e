#include "collectives/wide/channel_courier.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "collectives/algorithms/algorithms.h"
#include "play.h"
#include "runtime/link/sim/plain_channel.h"
#include "runtime/link/sim/sim.h"

namespace reef::collectives {
namespace {

using namespace std::chrono_literals;

constexpr std::uint16_t kKind = 77;

/// Ranks joined by channels over simulated lines.
class ChannelCourierTest : public testing::Test {
 protected:
  struct Member {
    std::vector<float> buffer;
    std::unique_ptr<Operation> operation;
    std::unique_ptr<ChannelCourier> courier;
    std::vector<std::unique_ptr<link::Channel>> channels;
    Status status;
    std::vector<Rank> lost;
  };

  void make(const Schedule& schedule) {
    schedule_ = std::make_shared<const Schedule>(schedule);
    for (Rank rank = 0; rank < schedule.world; ++rank) {
      auto member = std::make_shared<Member>();
      member->buffer.resize(schedule.elements[rank]);
      for (std::size_t i = 0; i < member->buffer.size(); ++i)
        member->buffer[i] = static_cast<float>((rank + 1) * (i % 64 + 1));
      right_.push_back(member->buffer);
      member->operation = std::make_unique<Operation>(schedule_, rank, member->buffer);
      members_.push_back(std::move(member));
    }
    play(schedule, right_);
  }
  static std::string host(Rank rank) { return "rank-" + std::to_string(rank); }

  void connect() {
    const Rank world = schedule_->world;
    for (auto& member : members_)
      member->channels = std::vector<std::unique_ptr<link::Channel>>(world);
    for (Rank a = 0; a < world; ++a) {
      for (Rank b = a + 1; b < world; ++b) {
        auto [left, right] = network_.connect(host(a), host(b), {});
        open(a, b, std::move(left));
        open(b, a, std::move(right));
      }
    }
    for (auto& member : members_) {
      std::vector<link::Channel*> peers;
      for (auto& channel : member->channels) peers.push_back(channel.get());
      member->courier = std::make_unique<ChannelCourier>(std::move(peers), kKind, member);
    }
    for (auto& member : members_) member->operation->run(*member->courier);
  }
  void open(Rank self, Rank peer, std::unique_ptr<link::Link> link) {
    Member& member = *members_[self];
    member.channels[peer] = link::PlainChannelForTests::create(std::move(link));
    member.channels[peer]->start(
        [&member, peer](const link::Message& message) {
          const Status status = member.courier->received(peer, message, *member.operation);
          if (!status.ok()) member.status = status;
        },
        [&member, peer](const Error&) { member.lost.push_back(peer); });
  }
  bool finished() const {
    return std::ranges::all_of(members_, [](const auto& m) { return m->operation->finished(); });
  }
  void expect_right() {
    for (Rank rank = 0; rank < schedule_->world; ++rank) {
      EXPECT_TRUE(members_[rank]->status.ok()) << members_[rank]->status.error().text();
      EXPECT_EQ(members_[rank]->buffer, right_[rank]);
    }
  }

  void TearDown() override {
    for (auto& member : members_) {
      member->channels.clear();
      member->courier.reset();
    }
  }

  link::sim::SimNetwork network_{1};
  std::shared_ptr<const Schedule> schedule_;
  std::vector<std::shared_ptr<Member>> members_;
  Buffers<float> right_;
};

TEST_F(ChannelCourierTest, CarriesACollective) {
  make(hierarchical_all_reduce({{0, 1}, {2, 3, 4}}, 100'000, 7000));
  connect();
  EXPECT_TRUE(network_.run_while_not([this] { return finished(); }, 10s));
  expect_right();
}

TEST_F(ChannelCourierTest, GoesOnOverOtherChannelsWhenALineBreaks) {
  make(ring_all_reduce(ranks_of(3), 100'000, 2000));
  connect();
  network_.run_for(2ms);
  ASSERT_FALSE(finished());
  network_.cut(host(0), host(1));
  network_.run_for(20ms);
  EXPECT_FALSE(finished());
  EXPECT_EQ(members_[0]->lost, std::vector<Rank>{1});
  EXPECT_EQ(members_[1]->lost, std::vector<Rank>{0});
  connect();
  EXPECT_TRUE(network_.run_while_not([this] { return finished(); }, 10s));
  expect_right();
}

TEST_F(ChannelCourierTest, RefusesWhatNoCourierSends) {
  make(ring_all_reduce(ranks_of(3), 6, 5));
  connect();
  Member& member = *members_[0];
  const auto refused = [&](Bytes header, Bytes payload) {
    const Status status = member.courier->received(
        1, {kKind, std::move(header), link::Payload(std::move(payload))}, *member.operation);
    return !status.ok() && status.error().code == Code::kProto && status.error().where == "rank 1";
  };
  Bytes header(8);
  EXPECT_TRUE(refused(Bytes(7), Bytes(8)));
  EXPECT_TRUE(refused(header, Bytes(7)));
  EXPECT_TRUE(refused(header, Bytes(400)));
  store(header.data(), std::uint32_t{2});
  EXPECT_TRUE(refused(header, Bytes(8)));
  store(header.data(), std::uint32_t{1});
  store(header.data() + 4, std::uint32_t{1000});
  EXPECT_TRUE(refused(header, {}));
  EXPECT_TRUE(network_.run_while_not([this] { return finished(); }, 10s));
  expect_right();
}

}  // namespace
}  // namespace reef::collectives
