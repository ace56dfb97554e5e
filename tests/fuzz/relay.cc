// What ends can say to the relay between them, on any number of legs.

#include "runtime/link/relay/relay.h"

#include <algorithm>
#include <array>
#include <vector>

#include "runtime/link/sim/plain_channel.h"
#include "runtime/link/sim/sim.h"
#include "tests/fuzz/fuzz.h"

using namespace reef;
using link::relay::Kind;

namespace {

constexpr std::size_t kHosts = 3;
constexpr std::size_t kMostLegs = 8;  ///< to make one costs most
constexpr std::uint64_t kEpoch = 7;
constexpr std::chrono::seconds kPatience{10};

/// Two pairs and a full window, which takes 17 of the largest frames, of 4 bytes here.
constexpr std::size_t kLongestInput = 192;

const security::Credential& host(std::size_t index) {
  static const auto all = [] {
    std::array<security::Credential, kHosts> hosts;
    for (std::size_t i = 0; i < kHosts; ++i) {
      hosts[i].name = "host-" + std::to_string(i);
      hosts[i].noise_key[0] = static_cast<std::byte>(i);
    }
    return hosts;
  }();
  return all[index];
}

/// The far end of a leg, which holds the relay to its own protocol.
struct Leg {
  std::size_t owner = 0;
  std::unique_ptr<link::RecordLink> link;
  std::vector<link::relay::Join> asked;
  std::vector<BytesView> sent;  ///< data, which lives as long as the input
  bool joined = false, ended = false;
  int closed = 0;
};

class Ends {
 public:
  explicit Ends(link::sim::SimNetwork& network) : network_(network) {}

  /// A new leg of a host, joined to the relay by a line of its own.
  void open(link::relay::Relay& relay, std::size_t owner) {
    auto [near, far] = network_.connect(host(owner).name, "hub", {});
    Leg& leg = *legs_.emplace_back(std::make_unique<Leg>());
    leg.owner = owner;
    leg.link = link::PlainChannelForTests::records(std::move(near));
    leg.link->start_records(
        [this, &leg](const link::RecordHeader& header, BytesView body) {
          heard(leg, static_cast<Kind>(header.flags), body);
        },
        [&leg](const Error&) { ++leg.closed; });
    relay.add(link::PlainChannelForTests::records(std::move(far)), host(owner));
  }

  void say(Leg& leg, std::uint8_t kind, BytesView body) {
    if (body.empty()) return;  // no record is
    if (static_cast<Kind>(kind) == Kind::kData) leg.sent.push_back(body);
    const auto join = link::relay::read_join(body);
    if (static_cast<Kind>(kind) == Kind::kJoin && join.ok()) leg.asked.push_back(*join);
    leg.link->send_record({kind, 0, 0}, {&body, 1}, kNoDeadline, nullptr);
  }

  std::vector<std::unique_ptr<Leg>>& legs() { return legs_; }

 private:
  void heard(Leg& leg, Kind kind, BytesView body) {
    CHECK(!leg.ended) << "a word after the last";
    if (kind == Kind::kJoined) {
      CHECK(!leg.joined && !leg.asked.empty());
      leg.joined = true;
    } else if (kind == Kind::kEnded) {
      CHECK(link::relay::read_why(body).ok());
      leg.ended = true;
    } else if (kind == Kind::kData) {
      CHECK(leg.joined && from_whom_it_asked_for(leg, body)) << "data of somebody else";
    } else {
      CHECK(leg.joined && kind == Kind::kTaken);
      CHECK(link::relay::read_taken(body, link::relay::kWindow).ok());
    }
  }

  /// Whether a leg that was joined with this one has sent just this.
  bool from_whom_it_asked_for(const Leg& leg, BytesView body) const {
    const link::relay::Join& join = leg.asked.front();
    for (const auto& other : legs_) {
      const bool theirs = !other->asked.empty() && other->joined &&
                          other->asked.front().far == host(leg.owner).noise_key &&
                          other->asked.front().stream == join.stream &&
                          host(other->owner).noise_key == join.far;
      if (!theirs) continue;
      for (const BytesView sent : other->sent) {
        if (fuzz::same(sent, body)) return true;
      }
    }
    return false;
  }

  link::sim::SimNetwork& network_;
  std::vector<std::unique_ptr<Leg>> legs_;
};

}  // namespace

/// Any number of `what u8 | which u8`: a leg of a host comes; a leg asks for a host (`host u8 |
/// stream u8`); it says `kind u8 | piece`; it sends `u16` bytes of data; it takes `u8` windows'
/// eighths; it goes; time passes; a host is revoked.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  fuzz::Input input(data, std::min<std::size_t>(size, kLongestInput));
  link::sim::SimNetwork network(1);
  Ends ends(network);
  auto relay = std::make_unique<link::relay::Relay>(
      network, kPatience, [](const security::Credential& who, const link::relay::Join& join) {
        if (join.epoch == kEpoch && who.name != "host-2") return Status();
        return Status(Error{Code::kRefused, who.name, "not in this plan"});
      });
  while (!input.empty()) {
    const std::size_t what = input.below(8), which = input.number<std::uint8_t>();
    if (what == 0 || ends.legs().empty()) {
      if (ends.legs().size() < kMostLegs) ends.open(*relay, which % kHosts);
      continue;
    }
    Leg& leg = *ends.legs()[which % ends.legs().size()];
    if (what == 7) {
      relay->drop([which](const auto& who) { return who.name == host(which % kHosts).name; });
    } else if (what == 6) {
      network.run_for(std::chrono::milliseconds(which * 10));
    } else if (what == 5) {
      leg.link->close();
    } else if (what == 4) {
      const std::size_t eighths = input.number<std::uint8_t>();
      ends.say(leg, static_cast<std::uint8_t>(Kind::kTaken),
               link::relay::encode_taken(eighths * link::relay::kTellTaken));
    } else if (what == 3) {
      ends.say(leg, static_cast<std::uint8_t>(Kind::kData),
               fuzz::zeros(input.number<std::uint16_t>()));
    } else if (what == 2) {
      const std::uint8_t kind = input.number<std::uint8_t>();
      ends.say(leg, kind, input.piece());
    } else {
      const auto far = host(input.below(kHosts)).noise_key;
      ends.say(leg, static_cast<std::uint8_t>(Kind::kJoin),
               link::relay::encode(link::relay::Join{kEpoch, far, input.number<std::uint8_t>()}));
    }
    network.run_for(std::chrono::milliseconds(3));
    CHECK_LE(relay->outstanding(), relay->legs() * link::relay::kWindow);
    CHECK_LE(relay->legs(), ends.legs().size());
  }
  network.run_for(2 * kPatience);
  for (const auto& leg : ends.legs())
    CHECK(leg->joined || leg->closed == 1) << "one waits for ever";
  relay.reset();
  network.run_for(std::chrono::seconds(5));
  for (const auto& leg : ends.legs()) CHECK_EQ(leg->closed, 1);
  return 0;
}
