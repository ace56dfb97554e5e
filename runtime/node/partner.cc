#include "runtime/node/partner.h"

#include <algorithm>
#include <utility>

#include "runtime/base/log.h"
#include "runtime/base/random.h"

namespace reef::node {
namespace {

constexpr Duration kDialTime = std::chrono::seconds(10);
constexpr Duration kShortestPause = std::chrono::milliseconds(250);
constexpr Duration kLongestPause = std::chrono::seconds(4);  // and up to a quarter more

}  // namespace

PartnerChannel::PartnerChannel(const PartnerSite& site, std::uint64_t meeting, Partner partner,
                               Callbacks callbacks)
    : site_(site),
      meeting_(meeting),
      partner_(std::move(partner)),
      callbacks_(std::move(callbacks)) {}

PartnerChannel::~PartnerChannel() { site_.sessions.remove(session_); }

void PartnerChannel::begin() {
  if (partner_.dials) dial();
}

/// For people.
std::string PartnerChannel::name() const {
  return "island " + std::to_string(partner_.island) + " (" + partner_.peer.name + ")";
}

void PartnerChannel::dial() {
  ++dials_;
  const Peer& peer = partner_.peer;
  link::secure::ExpectedPeer expected{.role = security::Role::kNode};
  std::ranges::copy(peer.noise_key, expected.noise_key.begin());
  link::secure::Local local = site_.identity.local;
  local.lost_after = site_.lost_after;
  local.ping_every = site_.lost_after / 4;
  link::StreamOptions options{
      .purpose = link::secure::Purpose::kLetters, .epoch = meeting_, .data = peer.streams};
  options.socket.congestion = peer.congestion;
  link::connect_streams(site_.loop, peer.host, peer.port, local, expected, options,
                        site_.loop.clock().now() + kDialTime,
                        [this, alive = std::weak_ptr(alive_)](auto streams) {
                          if (!alive.expired()) dialled(std::move(streams));
                        });
}

void PartnerChannel::dialled(Result<link::Streams> streams) {
  if (streams.ok()) {
    const std::string& proven = streams->front()->peer().name;
    if (proven == partner_.peer.name) return opened(std::move(*streams));
    streams = Error{Code::kRefused, proven, "has the key but not the name of the partner"};
  }
  not_there(streams.error());
  dial_later();
}

/// Said once, until it has been there.
void PartnerChannel::not_there(const Error& why) {
  if (std::exchange(absent_, true)) return;
  log_warning(name() + " is not there yet; it is dialled again and again: " + why.text());
}

/// Twice as late as the last time, unless a channel has lasted, and not all at once.
void PartnerChannel::dial_later() {
  pause_ = std::clamp(2 * pause_, kShortestPause, kLongestPause);
  const float part =
      Random(stable_hash(site_.identity.name), "partner pauses").uniform(partner_.island, dials_);
  const auto spread = std::chrono::duration_cast<Duration>(pause_ / 4 * part);
  site_.loop.at(site_.loop.clock().now() + pause_ + spread, [this, alive = std::weak_ptr(alive_)] {
    if (!alive.expired()) dial();
  });
}

bool PartnerChannel::expects(const security::Credential& peer) const {
  return !partner_.dials && partner_.peer.name == peer.name &&
         std::ranges::equal(partner_.peer.noise_key, peer.noise_key);
}

void PartnerChannel::accepted(link::Streams streams) {
  if (channel_) lost(Error{Code::kClosed, "", "it came anew"});
  for (const auto& stream : streams) stream->keep_alive(site_.lost_after / 4, site_.lost_after);
  opened(std::move(streams));
  present(site_.identity.local.credential);
  came();
}

void PartnerChannel::opened(link::Streams streams) {
  session_ = site_.sessions.add(streams.front()->peer(), [this](const Error& why) { lost(why); });
  channel_ = link::Channel::create(std::move(streams), {.max_payload = site_.largest_letter});
  channel_->start(
      [this](const link::Message& message) {
        if (const Status taken = take(message); !taken.ok()) lost(taken.error());
      },
      [this](const Error& why) { lost(why); });
}

/// Both ends know of the other.
void PartnerChannel::came() {
  if (std::exchange(present_, true)) return;
  since_ = site_.loop.clock().now();
  absent_ = false;
  log_info(name() + " is there");
  callbacks_.on_changed(true);
}

Status PartnerChannel::take(const link::Message& message) {
  const auto kind = static_cast<Kind>(message.kind);
  if (kind == Kind::kPresent) {
    came();
    const Status shown = site_.sessions.renewed(session_, message.payload.view());
    if (!shown.ok()) log_warning("from " + name() + ": " + shown.error().text());
    return {};  // it stays until what it showed before has run out
  }
  if (kind != Kind::kLetter)
    return Error{Code::kProto, partner_.peer.name, "sent a partner what is for peers"};
  ATOLL_ASSIGN(WireLetter in, read_letter(message));
  if (in.meeting != meeting_)
    return Error{Code::kProto, partner_.peer.name, "sent a letter of another meeting"};
  came();
  callbacks_.on_letter(std::move(in.letter));
  return {};
}

void PartnerChannel::send(link::Message message, link::Done done) {
  if (!channel_) return done(Error{Code::kClosed, partner_.peer.name, "is not there"});
  // Without a deadline: a snapshot takes as long as the line needs, and silence is noticed anyway.
  channel_->send(std::move(message), kNoDeadline, std::move(done));
}

void PartnerChannel::present(const Bytes& credential) {
  send(present_message(credential), [](const Status&) {});
}

void PartnerChannel::lost(const Error& why) {
  if (!channel_) return;
  past_bytes_ += channel_->counters().wire_bytes_sent;
  site_.sessions.remove(session_);
  const auto gone = std::move(channel_);  // what it still has completes as this returns
  const bool lasted = present_ && site_.loop.clock().now() - since_ >= kLongestPause;
  if (lasted) pause_ = {};
  if (std::exchange(present_, false)) {
    log_warning(name() + " is lost: " + why.text());
    callbacks_.on_changed(false);
  } else {
    not_there(why);  // it does not expect us
  }
  if (partner_.dials) dial_later();
}

std::uint64_t PartnerChannel::wire_bytes() const {
  return past_bytes_ + (channel_ ? channel_->counters().wire_bytes_sent : 0);
}

}  // namespace reef::node
