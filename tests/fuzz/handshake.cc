// Every frame of the handshake, at both ends: a valid one that was changed, bytes of any kind, and
// what a member of no cluster says who knows the protocol and the acceptor's key. So, too, of the
// handshake of a machine that enrols.

#include "runtime/link/secure/handshake.h"

#include <optional>

#include "security/handshake/handshake.h"
#include "tests/fuzz/cluster.h"

using namespace reef;
using link::secure::Handshake;

namespace {

enum Attack { kChanged, kBytes, kPayload, kAttacks };

constexpr std::uint16_t kStream = fuzz::Cluster::kStream.stream;

struct Locals {
  link::secure::Local scheduler = fuzz::Cluster::get().local(security::Role::kScheduler);
  link::secure::Local node = fuzz::Cluster::get().local(security::Role::kNode);
  link::secure::Local newcomer = [] {
    link::secure::Local local = fuzz::Cluster::get().local(security::Role::kNode);
    local.credential = {};
    local.token = fuzz::Cluster::get().token;
    return local;
  }();
};

/// The node, or who has a token and wants to become one.
Handshake dialler_of(const Locals& locals, bool enrols) {
  link::secure::StreamId stream = fuzz::Cluster::kStream;
  if (enrols) stream = {.stream = link::secure::kEnrolStream};
  return {enrols ? locals.newcomer : locals.node, true, fuzz::Cluster::get().expected(), stream,
          "peer"};
}

/// One who has keys that prove themselves, and says in the handshake what he likes.
security::HandshakeState liar(bool initiator, bool enrols) {
  const fuzz::Cluster& cluster = fuzz::Cluster::get();
  security::HandshakeConfig config;
  config.initiator = initiator;
  config.prologue = cluster.prologue(enrols ? link::secure::kEnrolStream : kStream);
  if (enrols) {
    config.pattern = "XKpsk3";
    config.psk = security::proof_of(cluster.token->secret.view()).psk;
  }
  config.static_secret = (initiator ? cluster.node : cluster.scheduler)->noise_secret();
  if (initiator) config.peer_static = cluster.scheduler->noise_key();
  return security::HandshakeState::create(std::move(config)).value();
}

/// Accepted is what was not touched, and nothing else.
void check(Handshake& reader, BytesView frame, BytesView valid) {
  const auto answer = reader.read(frame);
  const bool same = std::equal(frame.begin(), frame.end(), valid.begin(), valid.end());
  CHECK_EQ(answer.ok(), same);
  if (answer.ok()) {
    CHECK_LE(answer->size(), link::secure::kHandshakeFrameLimit);
    return;
  }
  fuzz::check_refusal(answer.error(), {Code::kProto, Code::kRefused});
  CHECK(!reader.complete());
  CHECK(!reader.read(valid).ok()) << "a handshake lives on after an error";
}

Bytes attacked(Attack attack, BytesView valid, fuzz::Input& input) {
  return attack == kChanged ? fuzz::mutated(valid, input) : to_bytes(input.rest());
}

/// A credential of any bytes from an acceptor who proved the key.
void lie_to_dialler(const Locals& locals, BytesView payload) {
  Handshake dialler = dialler_of(locals, false);
  security::HandshakeState acceptor = liar(false, false);
  const Bytes first = dialler.open().value();
  CHECK(acceptor.read(BytesView(first).subspan(link::secure::kPreambleSize)).ok());
  const auto answer = dialler.read(acceptor.write(payload).value());
  CHECK_EQ(answer.ok(),
           std::equal(payload.begin(), payload.end(), locals.scheduler.credential.begin(),
                      locals.scheduler.credential.end()));
  CHECK_EQ(answer.ok(), dialler.complete());
  if (!answer.ok()) fuzz::check_refusal(answer.error(), {Code::kProto, Code::kRefused});
}

/// What stands before the credential in a third message: bundle, streams u16, purpose u8,
/// epoch u64.
constexpr std::size_t kPurpose = link::secure::kBundleSize + 2;
constexpr std::size_t kFront = kPurpose + 1 + 8;

/// Whether it says which stream of how many, and what for.
bool well_formed(BytesView payload, std::uint16_t& streams) {
  if (payload.size() < kFront) return false;
  streams = load<std::uint16_t>(payload.data() + link::secure::kBundleSize);
  const auto purpose = static_cast<link::secure::Purpose>(payload[kPurpose]);
  const bool known_purpose = purpose <= link::secure::kLastPurpose;
  return known_purpose && kStream < streams && streams <= link::secure::kMaxStreams;
}

/// The same to an acceptor: told nothing but that the peer is not welcome.
void lie_to_acceptor(const Locals& locals, BytesView payload) {
  Handshake acceptor(locals.scheduler, false, {}, {}, "peer");
  security::HandshakeState dialler = liar(true, false);
  Bytes first = fuzz::Cluster::get().preamble(kStream);
  const Bytes message = dialler.write({}).value();
  first.insert(first.end(), message.begin(), message.end());
  CHECK(dialler.read(acceptor.read(first).value()).ok());
  const Bytes third = dialler.write(payload).value();
  const auto answer = acceptor.read(third);
  std::uint16_t streams = 0;
  CHECK_EQ(answer.ok(),
           well_formed(payload, streams) && third.size() <= link::secure::kHandshakeFrameLimit);
  if (!answer.ok()) return fuzz::check_refusal(answer.error(), {Code::kProto});
  CHECK(answer->empty() && acceptor.complete());
  CHECK_EQ(acceptor.stream().stream, kStream);
  CHECK_EQ(acceptor.stream().streams, streams);
  const BytesView credential = payload.subspan(kFront);
  const bool welcome = std::equal(credential.begin(), credential.end(),
                                  locals.node.credential.begin(), locals.node.credential.end());
  CHECK_EQ(acceptor.verdict().ok(), welcome);
  if (!welcome) fuzz::check_refusal(acceptor.verdict().error(), {Code::kProto, Code::kRefused});
}

/// One who knows a token's secret and names any token: `id 16 | payload of the third message`.
void enrol(const Locals& locals, fuzz::Input input) {
  Handshake acceptor(locals.scheduler, false, {}, {}, "peer");
  security::HandshakeState dialler = liar(true, true);
  Bytes id = to_bytes(input.take(link::secure::kTokenIdSize));
  id.resize(link::secure::kTokenIdSize);
  Bytes first = fuzz::Cluster::get().preamble(link::secure::kEnrolStream);
  const Bytes message = dialler.write(id).value();
  first.insert(first.end(), message.begin(), message.end());
  CHECK(dialler.read(acceptor.read(first).value()).ok()) << "a stranger learns who has a token";
  const Bytes third = dialler.write(input.rest()).value();
  const auto answer = acceptor.read(third);
  const auto& known = fuzz::Cluster::get().token->id;
  const bool welcome = std::equal(id.begin(), id.end(), known.begin(), known.end()) &&
                       third.size() <= link::secure::kHandshakeFrameLimit;
  CHECK_EQ(answer.ok(), welcome);
  CHECK_EQ(acceptor.complete(), welcome);
  if (!welcome) return fuzz::check_refusal(answer.error(), {Code::kProto, Code::kRefused});
  CHECK(acceptor.peer().noise_key == fuzz::Cluster::get().node->noise_key());
  CHECK_EQ(acceptor.peer().name, security::token_name(known));
  CHECK(acceptor.peer().role == security::Role{}) << "a role before there is a credential";
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const Locals locals;
  fuzz::Input input(data, size);
  const auto attack = static_cast<Attack>(input.below(kAttacks));
  const std::size_t choice = input.below(6);
  const std::size_t frame = choice % 3;
  const bool enrols = choice >= 3;
  if (attack == kPayload) {
    if (enrols) return enrol(locals, input), 0;
    (frame == 0 ? lie_to_dialler : lie_to_acceptor)(locals, input.rest());
    return 0;
  }
  Handshake dialler = dialler_of(locals, enrols);
  Handshake acceptor(locals.scheduler, false, {}, {}, "peer");
  const Bytes first = dialler.open().value();
  if (frame == 0) return check(acceptor, attacked(attack, first, input), first), 0;
  const Bytes second = acceptor.read(first).value();
  if (frame == 1) return check(dialler, attacked(attack, second, input), second), 0;
  const Bytes third = dialler.read(second).value();
  check(acceptor, attacked(attack, third, input), third);
  return 0;
}
