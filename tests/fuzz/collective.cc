// What the other ranks of a collective send to one that is in the middle of it.

#include "collectives/algorithms/algorithms.h"
#include "collectives/wide/channel_courier.h"
#include "runtime/link/sim/plain_channel.h"
#include "runtime/link/sim/sim.h"
#include "tests/fuzz/fuzz.h"

using namespace reef;

namespace {

constexpr collectives::Rank kWorld = 3;
constexpr std::uint64_t kElements = 64;

/// Rank 0, and channels to two that only listen.
struct Member {
  link::sim::SimNetwork network{1};
  std::vector<std::unique_ptr<link::Channel>> ours{kWorld}, theirs{kWorld};
  std::vector<float> buffer = std::vector<float>(kElements, 1);
  std::unique_ptr<collectives::Operation> operation;
  std::unique_ptr<collectives::ChannelCourier> courier;

  Member() {
    static const auto schedule = std::make_shared<const collectives::Schedule>(
        collectives::ring_all_reduce(collectives::ranks_of(kWorld), kElements, 5));
    std::vector<link::Channel*> peers(kWorld);
    for (collectives::Rank rank = 1; rank < kWorld; ++rank) {
      auto [a, b] = network.connect("we", "rank", {});
      ours[rank] = link::PlainChannelForTests::create(std::move(a));
      theirs[rank] = link::PlainChannelForTests::create(std::move(b));
      ours[rank]->start([](const link::Message&) {}, [](const Error&) {});
      theirs[rank]->start([](const link::Message&) {}, [](const Error&) {});
      peers[rank] = ours[rank].get();
    }
    operation = std::make_unique<collectives::Operation>(schedule, 0, buffer);
    courier = std::make_unique<collectives::ChannelCourier>(peers, 1, nullptr);
    operation->run(*courier);
  }
  ~Member() {
    // They read the buffer as long as they live.
    ours.clear();
    theirs.clear();
  }
};

}  // namespace

/// `from u8 | header piece | payload piece`, as often as there are.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  fuzz::Input input(data, size);
  Member member;
  while (!input.empty()) {
    const auto from = static_cast<collectives::Rank>(1 + input.below(kWorld - 1));
    link::Message message;
    message.kind = 1;
    message.header = to_bytes(input.piece());
    message.payload = link::Payload(to_bytes(input.piece()));
    const bool was_finished = member.operation->finished();
    const Status status = member.courier->received(from, message, *member.operation);
    if (!status.ok()) fuzz::check_refusal(status.error(), {Code::kProto});
    CHECK(!was_finished || member.operation->finished());
    CHECK_EQ(member.operation->finished(), member.operation->waits_for().empty());
  }
  member.network.run_for(std::chrono::seconds(1));
  return 0;
}
