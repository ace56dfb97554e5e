// The whole way up, from frames to messages: a peer with a good credential, and with keys of his
// own making, whose records hold anything.

#include <algorithm>
#include <optional>
#include <vector>

#include "runtime/link/channel/channel.h"
#include "runtime/link/secure/record.h"
#include "runtime/link/sim/sim.h"
#include "security/handshake/handshake.h"
#include "tests/fuzz/cluster.h"

using namespace reef;

namespace {

constexpr std::uint16_t kStream = fuzz::Cluster::kStream.stream;

struct Seen {
  std::unique_ptr<link::Channel> channel;
  std::size_t bytes = 0;
  std::optional<Error> closed;
};

/// Listens on a link once it is open.
link::secure::Established listen(Seen& seen) {
  return [&seen](Result<std::unique_ptr<link::secure::SecureLink>> sealed) {
    CHECK(!seen.closed && !seen.channel) << "established twice";
    if (!sealed.ok()) {
      seen.closed = sealed.error();
      return;
    }
    seen.channel = link::Channel::create(std::move(sealed).value(), {.max_payload = 64 * 1024});
    seen.channel->start(
        [&seen](link::Message message) {
          CHECK(!seen.closed) << "a message after the end";
          seen.bytes += message.header.size() + message.payload.size();
        },
        [&seen](Error why) {
          CHECK(!seen.closed) << "closed twice";
          seen.closed = std::move(why);
        });
  };
}

/// All that is said until the handshake is over, and what it gives to the peer.
struct Talk {
  std::vector<Bytes> said, heard;
  security::Session session;
};

/// The other end of the handshake, by hand: of a node that dials us, or of a scheduler we dial.
class Peer {
 public:
  Peer(link::sim::SimNetwork& network, std::unique_ptr<link::Link> end, bool dials)
      : network_(network), end_(std::move(end)), dials_(dials) {
    end_->start([this](Bytes frame) { heard_.push_back(std::move(frame)); }, [](const Error&) {});
  }

  /// When it accepts, up to our credential: the record that says whether we take theirs is the
  /// input's. All keys are the same for each input, so that it can say again what it said first.
  security::Session shake_hands() {
    static std::optional<Talk> dialled, accepted;
    std::optional<Talk>& talk = dials_ ? dialled : accepted;
    if (!talk) {
      talk.emplace();
      talk->session = dials_ ? dial(talk->said) : accept(talk->said);
      talk->heard = heard_;
    } else {
      if (!dials_) network_.run_for(kAnswer);
      for (const Bytes& frame : talk->said) send(frame);
      CHECK(std::ranges::equal(heard_, talk->heard, fuzz::same)) << "not as it was before";
    }
    const security::Session& session = talk->session;
    return {session.send.clone(), session.receive.clone(), session.handshake_hash};
  }
  void send(Bytes frame) {
    end_->send(std::move(frame), kNoDeadline, nullptr);
    network_.run_for(kAnswer);
  }

 private:
  static constexpr std::chrono::milliseconds kAnswer{10};

  security::Session dial(std::vector<Bytes>& said) {
    security::HandshakeState state = begin();
    Bytes first = fuzz::Cluster::get().preamble(kStream);
    const Bytes message = state.write({}).value();
    first.insert(first.end(), message.begin(), message.end());
    send(said.emplace_back(first));
    CHECK_EQ(heard_.size(), 1u);
    CHECK(state.read(heard_[0]).ok());
    send(said.emplace_back(state.write(fuzz::Cluster::get().third_payload()).value()));
    CHECK_EQ(heard_.size(), 2u) << "a ping says welcome";
    return state.split();
  }
  security::Session accept(std::vector<Bytes>& said) {
    security::HandshakeState state = begin();
    network_.run_for(kAnswer);
    CHECK_EQ(heard_.size(), 1u);
    CHECK(state.read(BytesView(heard_[0]).subspan(link::secure::kPreambleSize)).ok());
    const Bytes credential = fuzz::Cluster::get().local(security::Role::kScheduler).credential;
    send(said.emplace_back(state.write(credential).value()));
    CHECK_EQ(heard_.size(), 2u);
    CHECK(state.read(heard_[1]).ok());
    return state.split();
  }
  /// Draws no randomness, so that we draw the same whether it shakes hands or says it again.
  security::HandshakeState begin() const {
    const fuzz::Cluster& cluster = fuzz::Cluster::get();
    security::HandshakeConfig config;
    config.initiator = dials_;
    config.prologue = cluster.prologue(kStream);
    config.static_secret = (dials_ ? cluster.node : cluster.scheduler)->noise_secret();
    config.fixed_ephemeral =
        security::SecretBytes::copy_of(Bytes(security::kKeySize, std::byte{'e'}));
    if (dials_) config.peer_static = cluster.scheduler->noise_key();
    return security::HandshakeState::create(std::move(config)).value();
  }

  link::sim::SimNetwork& network_;
  std::unique_ptr<link::Link> end_;
  bool dials_;
  std::vector<Bytes> heard_;
};

/// `type, flags, message, epoch` in a byte each and a body; the first byte's top bits make frames
/// of another form.
Bytes next_frame(security::Session& session, fuzz::Input& input) {
  const auto type = input.number<std::uint8_t>();
  if ((type & 0x80) != 0) {
    const BytesView raw = input.piece();
    return raw.empty() ? Bytes(1) : to_bytes(raw);
  }
  Bytes plain;
  if ((type & 0x40) == 0) {
    fuzz::Output header;
    header.number(static_cast<std::uint8_t>(type & 0x3F)).number(input.number<std::uint8_t>());
    header.number(kStream);
    header.number(std::uint64_t{input.number<std::uint16_t>()});
    header.number(std::uint64_t{input.number<std::uint8_t>()});
    plain = header.bytes();
  }
  const BytesView body = input.piece();
  plain.insert(plain.end(), body.begin(), body.end());
  plain.resize(std::min<std::size_t>(plain.size(), 60'000));
  Bytes frame(plain.size() + security::kTagSize);
  session.send.encrypt(frame, {}, plain);
  if (type == static_cast<std::uint8_t>(link::secure::RecordType::kRekey)) session.send.rekey();
  return frame;
}

}  // namespace

/// `we dial u8`, then frames.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const link::secure::Local scheduler =
      fuzz::Cluster::get().local(security::Role::kScheduler);
  static const link::secure::Local node = fuzz::Cluster::get().local(security::Role::kNode);
  fuzz::Input input(data, size);
  const bool we_dial = input.below(2) != 0;
  link::sim::SimNetwork network(1);
  auto [theirs, ours] = network.connect("peer", "us", {});
  Seen seen;
  if (we_dial)
    link::secure::connect(std::move(ours), node, fuzz::Cluster::get().expected(),
                          fuzz::Cluster::kStream, kNoDeadline, listen(seen));
  else
    link::secure::accept(std::move(ours), scheduler, kNoDeadline, listen(seen));
  {
    Peer peer(network, std::move(theirs), !we_dial);
    security::Session session = peer.shake_hands();
    CHECK_EQ(seen.channel != nullptr, !we_dial) << "open before both ends know each other";
    for (int frames = 0; frames < 64 && !input.empty() && !seen.closed; ++frames)
      peer.send(next_frame(session, input));
  }
  network.run_for(std::chrono::seconds(30));
  CHECK(seen.closed.has_value()) << "the peer has gone, and nobody was told";
  fuzz::check_refusal(*seen.closed, {Code::kProto, Code::kClosed, Code::kPeerLost, Code::kTimedOut,
                                     Code::kRefused});
  CHECK_LE(seen.bytes, size);
  return 0;
}
