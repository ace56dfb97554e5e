// What a relay can say to an end, whose reader and writer do as they like meanwhile.

#include "runtime/link/relay/end.h"

#include <algorithm>
#include <deque>
#include <optional>

#include "runtime/link/sim/plain_channel.h"
#include "runtime/link/sim/sim.h"
#include "tests/fuzz/fuzz.h"

using namespace reef;
using link::relay::Kind;

namespace {

/// A full window each way, which takes 17 of the largest frames, of 3 bytes here.
constexpr std::size_t kLongestInput = 192;
constexpr link::relay::Join kJoin{7, {std::byte{3}}, 2};

/// The relay, which holds the end to the protocol.
class Relay {
 public:
  explicit Relay(std::unique_ptr<link::RecordLink> leg) : leg_(std::move(leg)) {
    leg_->start_records([this](const link::RecordHeader& header,
                               BytesView body) { heard(static_cast<Kind>(header.flags), body); },
                        [](const Error&) {});
  }
  void say(std::uint8_t kind, BytesView body) {
    if (body.empty()) return;  // no record is
    const bool told = static_cast<Kind>(kind) == Kind::kTaken;
    if (const auto cost = link::relay::read_taken(body, outstanding_); told && cost.ok())
      outstanding_ -= *cost;
    if (static_cast<Kind>(kind) == Kind::kData) said_.push_back(body);
    leg_->send_record({kind, 0, 0}, {&body, 1}, kNoDeadline, nullptr);
  }
  void go() { leg_->close(); }

  std::deque<BytesView>& said() { return said_; }
  std::deque<BytesView>& expected() { return expected_; }

 private:
  void heard(Kind kind, BytesView body) {
    CHECK_EQ(kind == Kind::kJoin, !std::exchange(asked_, true)) << "the first word, and once";
    if (kind == Kind::kJoin) {
      CHECK(link::relay::read_join(body).value() == kJoin);
    } else if (kind == Kind::kTaken) {
      CHECK(link::relay::read_taken(body, link::relay::kWindow).ok());
    } else {
      CHECK(kind == Kind::kData && !expected_.empty());
      CHECK(fuzz::same(expected_.front(), body));
      expected_.pop_front();
      outstanding_ += link::relay::cost_of(body.size());
      CHECK_LE(outstanding_, link::relay::kWindow);
    }
  }

  std::unique_ptr<link::RecordLink> leg_;
  bool asked_ = false;
  std::size_t outstanding_ = 0;  ///< of what it sent
  // They live as long as the input.
  std::deque<BytesView> said_;      ///< data that the end has yet to deliver
  std::deque<BytesView> expected_;  ///< data that we have yet to hear
};

struct End {
  std::unique_ptr<link::Link> link;
  int told = 0;  ///< of the outcome of join()
  int closed = 0, sent = 0, done = 0;
  std::optional<Error> error;
};

void refused(const Error& error) {
  fuzz::check_refusal(
      error, {Code::kProto, Code::kPeerLost, Code::kRefused, Code::kTimedOut, Code::kClosed});
}

void start(End& end, Relay& relay) {
  end.link->start(
      [&end, &relay](const Bytes& frame) {
        CHECK(end.closed == 0) << "a frame after the end";
        CHECK(!relay.said().empty() && fuzz::same(relay.said().front(), frame));
        relay.said().pop_front();
      },
      [&end](const Error& why) {
        ++end.closed;
        refused(why);
      });
}

}  // namespace

/// Any number of `what u8`: the relay says `kind u8 | piece`; it sends `u16` bytes of data; it
/// grants `u8` windows' eighths; the end sends `u16` bytes; its reader stops or goes on; time
/// passes; the relay goes.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  fuzz::Input input(data, std::min<std::size_t>(size, kLongestInput));
  link::sim::SimNetwork network(1);
  auto [near, far] = network.connect("end", "hub", {});
  Relay relay(link::PlainChannelForTests::records(std::move(far)));
  End end;
  link::relay::join(link::PlainChannelForTests::records(std::move(near)), kJoin, {"far", "hub"},
                    network.clock().now() + std::chrono::seconds(60), [&](auto link) {
                      ++end.told;
                      if (!link.ok()) return refused(link.error());
                      end.link = std::move(*link);
                      start(end, relay);
                    });
  bool reading = true;
  while (!input.empty()) {
    switch (input.below(7)) {
      case 0: {
        const std::uint8_t kind = input.number<std::uint8_t>();
        relay.say(kind, input.piece());
        break;
      }
      case 1:
        relay.say(static_cast<std::uint8_t>(Kind::kData),
                  fuzz::zeros(input.number<std::uint16_t>()));
        break;
      case 2:
        relay.say(
            static_cast<std::uint8_t>(Kind::kTaken),
            link::relay::encode_taken(input.number<std::uint8_t>() * link::relay::kTellTaken));
        break;
      case 3: {
        const BytesView frame = fuzz::zeros(input.number<std::uint16_t>());
        if (!end.link || frame.empty()) break;
        relay.expected().push_back(frame);
        ++end.sent;
        end.link->send(to_bytes(frame), kNoDeadline, [&end](const Status&) { ++end.done; });
        break;
      }
      case 4:
        reading = !reading;
        if (end.link) end.link->set_reading(reading);
        break;
      case 5:
        network.run_for(std::chrono::milliseconds(input.number<std::uint8_t>()));
        break;
      case 6:
        relay.go();
        break;
    }
    network.run_for(std::chrono::milliseconds(3));
  }
  network.run_for(std::chrono::seconds(100));
  CHECK_EQ(end.told, 1) << "of the outcome";
  CHECK_LE(end.closed, 1);
  end.link.reset();
  CHECK_EQ(end.done, end.sent) << "a frame that nobody was told about";
  return 0;
}
