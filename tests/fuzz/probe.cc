// Both ends of a line's measurement whose other end answers as it likes.

#include "runtime/link/probe.h"

#include <optional>

#include "runtime/link/sim/plain_channel.h"
#include "runtime/link/sim/sim.h"
#include "runtime/node/protocol.h"
#include "tests/fuzz/fuzz.h"

using namespace reef;

namespace {

/// Each message of the peer takes at least 5 bytes.
constexpr std::size_t kLongestInput = 512;
constexpr std::chrono::milliseconds kShort{20};
/// Of what we send ourselves there is little, or it would be all that an input costs.
constexpr std::chrono::seconds kEcho{5};
constexpr std::size_t kAhead = 4;

/// Says `kind u8 | lane u8 | milliseconds later u8 | piece`, each on the newest channel, and goes,
/// or stays and says nothing more.
class Peer {
 public:
  Peer(link::sim::SimNetwork& network, fuzz::Input& input) : network_(network), input_(input) {}

  std::unique_ptr<link::Channel> connect() {
    link::sim::Line slow;  // likewise
    slow.bits_per_second = 1e6;
    auto [theirs, ours] = network_.connect("peer", "us", slow);
    if (gone_) return link::PlainChannelForTests::create(std::move(ours));
    channels_.push_back(link::PlainChannelForTests::create(std::move(theirs)));
    channels_.back()->start([](const link::Message&) {}, [](const Error&) {});
    return link::PlainChannelForTests::create(std::move(ours));
  }
  void talk(bool goes) {
    while (!input_.empty()) {
      link::Message message;
      message.kind = input_.number<std::uint8_t>() % 5;
      message.lane = static_cast<link::Lane>(input_.below(link::kLanes));
      network_.run_for(std::chrono::milliseconds(input_.number<std::uint8_t>()));
      message.payload = link::Payload(to_bytes(input_.piece()));
      if (!channels_.empty()) channels_.back()->send(std::move(message), kNoDeadline, nullptr);
      network_.run_for(std::chrono::milliseconds(1));
    }
    if (!goes) return network_.run_for(std::chrono::seconds(100));
    gone_ = true;
    for (auto& channel : channels_) channel->close(true);
    network_.run_for(std::chrono::seconds(5));
  }

 private:
  link::sim::SimNetwork& network_;
  fuzz::Input& input_;
  bool gone_ = false;
  std::vector<std::unique_ptr<link::Channel>> channels_;
};

/// Whoever asked gets one answer, and a report can be sent on to who asked first.
void ask(link::sim::SimNetwork& network, fuzz::Input& input, bool goes) {
  Peer peer(network, input);
  std::optional<Result<link::LineReport>> report;
  link::measure(
      network,
      {.streams = {1, 2},
       .idle = kShort,
       .settle = kShort,
       .load = kShort,
       .echo = kEcho,
       .ahead = kAhead},
      [&peer](std::uint16_t, const auto& opened) { opened(peer.connect()); },
      [&report](Result<link::LineReport> result) {
        CHECK(!report) << "two answers";
        report = std::move(result);
      });
  network.run_for(std::chrono::milliseconds(1));
  peer.talk(goes);
  CHECK(report.has_value()) << "nobody was told";
  if (!report->ok()) {
    return fuzz::check_refusal(report->error(),
                               {Code::kProto, Code::kClosed, Code::kPeerLost, Code::kTimedOut});
  }
  const auto sent = node::read_line_result(node::line_result_message({1, *report}));
  CHECK(sent.ok() && sent->report.ok()) << sent.error().text();
  CHECK((*report)->best().rate >= 0);
}

void answer(link::sim::SimNetwork& network, fuzz::Input& input) {
  Peer peer(network, input);
  int over = 0;
  const link::ProbeServer server(peer.connect(), [&over] { ++over; });
  peer.talk(true);
  CHECK_EQ(over, 1);
}

}  // namespace

/// `what we do u8` (ask, answer, ask one who stays), then what the peer says.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  fuzz::Input input(data, std::min<std::size_t>(size, kLongestInput));
  link::sim::SimNetwork network(1);
  const std::size_t what = input.below(3);
  if (what == 1) return answer(network, input), 0;
  ask(network, input, what == 0);
  return 0;
}
