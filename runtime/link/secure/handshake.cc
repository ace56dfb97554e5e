#include "runtime/link/secure/handshake.h"

#include <algorithm>

#include "runtime/link/secure/record.h"

namespace reef::link::secure {
namespace {

constexpr std::size_t kMessage1Size = security::kKeySize + security::kTagSize;

void append_suite(Bytes& out, SuiteId suite, security::Role role, std::uint16_t stream) {
  append_number(out, static_cast<std::uint16_t>(kVersion));
  append_number(out, static_cast<std::uint8_t>(suite));
  append_number(out, static_cast<std::uint8_t>(role));
  append_number(out, stream);
}

/// What the first frame says in clear.
Bytes preamble(SuiteId suite, security::Role role, std::uint16_t stream) {
  Bytes out = to_bytes(as_bytes(kMagic));
  append_suite(out, suite, role, stream);
  return out;
}

/// What both ends must agree on, or message 1 does not verify.
Bytes prologue(const security::ClusterId& cluster, SuiteId suite, security::Role role,
               std::uint16_t stream) {
  Bytes out = to_bytes(as_bytes(kMagic));
  append(out, cluster);
  append_suite(out, suite, role, stream);
  return out;
}

security::Suite suite_of(SuiteId suite) {
  return {suite == SuiteId::kAesGcm ? security::Cipher::kAesGcm : security::Cipher::kChaChaPoly,
          security::HashFunction::kBlake2b};
}

}  // namespace

Handshake::Handshake(const Local& local, bool initiator, const ExpectedPeer& expected,
                     const StreamId& stream, std::string peer_name)
    : local_(local),
      initiator_(initiator),
      expected_(expected),
      stream_(stream),
      peer_name_(std::move(peer_name)) {}

Status Handshake::create() {
  security::HandshakeConfig config;
  config.pattern = enrolling() ? "XKpsk3" : "XK";
  config.initiator = initiator_;
  config.suite = suite_of(suite());
  config.prologue = prologue(enrolling() ? security::ClusterId{} : local_.cluster, suite(),
                             initiator_ ? expected_.role : local_.role, stream_.stream);
  config.psk_later = enrolling();
  config.static_secret = local_.key->noise_secret();
  if (initiator_) config.peer_static = expected_.noise_key;
  ATOLL_ASSIGN(state_, security::HandshakeState::create(std::move(config)));
  return {};
}

/// What this handshake is sealed with: the cluster's suite, which who enrols cannot know.
SuiteId Handshake::suite() const { return enrolling() ? SuiteId::kChaChaPoly : local_.suite; }

Result<Bytes> Handshake::open() {
  if (enrolling() != (local_.token != nullptr))
    return Error{Code::kInternal, peer_name_, "a token goes with the stream of enrolments"};
  ATOLL_TRY(create());
  Bytes frame = preamble(suite(), expected_.role, stream_.stream);
  BytesView payload;
  if (enrolling()) {
    state_->give_psk(security::proof_of(local_.token->secret.view()).psk);
    payload = local_.token->id;
  }
  ATOLL_ASSIGN(const Bytes message, state_->write(payload));
  append(frame, message);
  return frame;
}

Result<Bytes> Handshake::read(BytesView frame) {
  if (dead_ || complete_) return Error{Code::kProto, peer_name_, "the handshake is over"};
  auto answer = read_next(frame);
  dead_ = !answer.ok();
  return answer;
}

Result<Bytes> Handshake::read_next(BytesView frame) {
  if (frame.size() > kHandshakeFrameLimit) {
    return Error{Code::kProto, peer_name_, "an oversize handshake frame"};
  }
  if (initiator_) return read_second(frame);
  return state_ ? read_third(frame) : read_first(frame);
}

Result<Bytes> Handshake::read_first(BytesView frame) {
  const Error stranger{Code::kProto, peer_name_, "it does not speak this protocol, or not to us"};
  if (frame.size() < kPreambleSize) return stranger;
  stream_.stream = load<std::uint16_t>(frame.data() + kPreambleSize - sizeof stream_.stream);
  if (enrolling() && !local_.token_psk) return stranger;
  const std::size_t size =
      kPreambleSize + kMessage1Size + (enrolling() ? std::size_t{kTokenIdSize} : 0);
  if (frame.size() != size) return stranger;
  if (!security::equal(frame.first(kPreambleSize),
                       preamble(suite(), local_.role, stream_.stream))) {
    return stranger;
  }
  ATOLL_TRY(create());
  const auto payload = state_->read(frame.subspan(kPreambleSize));
  if (!payload.ok()) return stranger;
  if (!enrolling()) return state_->write(local_.credential);
  ATOLL_TRY(take_token(*payload));
  return state_->write({});
}

/// A token that is unknown, used or expired gets a key that nobody has: the peer sees what it would
/// see with a wrong secret, and only our log says more.
Status Handshake::take_token(BytesView id) {
  security::TokenId token;
  std::copy(id.begin(), id.end(), token.begin());
  auto psk = local_.token_psk(token);
  if (!psk.ok()) token_ = psk.error();
  state_->give_psk(psk.ok() ? std::move(*psk) : security::SecretBytes::random(security::kKeySize));
  peer_.name = security::token_name(token);
  peer_.role = security::Role{};
  return {};
}

Result<Bytes> Handshake::read_second(BytesView frame) {
  ATOLL_ASSIGN(const Bytes credential, state_->read(frame));
  if (enrolling()) {
    peer_.name = "scheduler";
    peer_.role = security::Role{};
    peer_.noise_key = expected_.noise_key;
    complete_ = true;
    return state_->write({});
  }
  ATOLL_TRY(check_peer(credential));
  if (peer_.role != expected_.role) {
    return Error{Code::kRefused, peer_name_,
                 "it is a " + std::string(role_name(peer_.role)) + ", not a " +
                     std::string(role_name(expected_.role))};
  }
  complete_ = true;
  Bytes payload(stream_.bundle.begin(), stream_.bundle.end());
  append_number(payload, stream_.streams);
  append_number(payload, static_cast<std::uint8_t>(stream_.purpose));
  append_number(payload, stream_.epoch);
  append(payload, local_.credential);
  return state_->write(payload);
}

Result<Bytes> Handshake::read_third(BytesView frame) {
  const auto payload = state_->read(frame);
  if (enrolling()) {
    ATOLL_TRY(token_);
    if (!payload.ok())
      return Error{Code::kRefused, peer_name_,
                   "token " + peer_.name + ": the peer does not hold its secret"};
    peer_.noise_key = *state_->peer_static();
    complete_ = true;
    return Bytes{};
  }
  if (!payload.ok()) return payload.error();
  constexpr std::size_t kPurpose = kBundleSize + 2, kEpoch = kPurpose + 1, kFront = kEpoch + 8;
  if (payload->size() < kFront) return Error{Code::kProto, peer_name_, "a short third message"};
  std::copy_n(payload->begin(), kBundleSize, stream_.bundle.begin());
  stream_.streams = load<std::uint16_t>(payload->data() + kBundleSize);
  stream_.purpose = static_cast<Purpose>((*payload)[kPurpose]);
  stream_.epoch = load<std::uint64_t>(payload->data() + kEpoch);
  if (stream_.streams > kMaxStreams || stream_.stream >= stream_.streams) {
    return Error{Code::kProto, peer_name_,
                 "stream " + std::to_string(stream_.stream) + " of " +
                     std::to_string(stream_.streams) + "; limit " + std::to_string(kMaxStreams)};
  }
  if (stream_.purpose > kLastPurpose) {
    return Error{Code::kProto, peer_name_, "a stream for an unknown purpose"};
  }
  verdict_ = check_peer(BytesView(*payload).subspan(kFront));
  complete_ = true;
  return Bytes{};
}

Status Handshake::check_peer(BytesView credential) {
  ATOLL_ASSIGN(peer_, security::verify_credential(credential, local_.authority, local_.cluster,
                                                  local_.unix_now()));
  if (state_->peer_static() != peer_.noise_key) {
    return Error{Code::kRefused, peer_name_, "its credential is for another key"};
  }
  return local_.admit ? local_.admit(peer_) : Status{};
}

}  // namespace reef::link::secure
