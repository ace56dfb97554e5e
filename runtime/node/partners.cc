#include "runtime/node/partners.h"

#include <algorithm>
#include <utility>

#include "runtime/base/log.h"

namespace reef::node {
namespace {

/// Of memory, until a letter has left.
std::size_t cost_of(std::size_t payload) { return payload + 1024; }

}  // namespace

PartnerChannels::PartnerChannels(const PartnerSite& site, Callbacks callbacks)
    : site_(site), callbacks_(std::move(callbacks)) {}

void PartnerChannels::meet(const Partners& partners) {
  if (closed_) return;
  const bool same_meeting = std::exchange(meeting_, partners.meeting) == partners.meeting;
  std::vector<std::uint32_t> gone;
  for (const auto& [island, channel] : channels_) {
    const bool stays = same_meeting && std::ranges::find(partners.partners, channel->partner()) !=
                                           partners.partners.end();
    if (!stays) gone.push_back(island);
  }
  for (const std::uint32_t island : gone) leave(island);
  for (const Partner& partner : partners.partners) {
    const std::uint32_t island = partner.island;
    auto& channel = channels_[island];
    if (channel) continue;
    channel = std::make_unique<PartnerChannel>(
        site_, meeting_, partner,
        PartnerChannel::Callbacks{
            [this, island](Letter letter) { callbacks_.on_letter(island, std::move(letter)); },
            [this, island](bool present) { changed(island, present); }});
    channel->begin();
  }
}

void PartnerChannels::leave(std::uint32_t island) {
  const auto channel = std::move(channels_.extract(island).mapped());
  past_bytes_ += channel->wire_bytes();
  bool was_there = false;
  {
    const std::lock_guard lock(mutex_);
    was_there = ways_.contains(island);
  }
  if (was_there) changed(island, false);
}

void PartnerChannels::changed(std::uint32_t island, bool present) {
  {
    const std::lock_guard lock(mutex_);
    ways_.erase(island);
    if (present) ways_[island] = {next_way_++, meeting_, 0};
  }
  callbacks_.on_changed(island, present);
}

void PartnerChannels::accepted(link::Streams streams) {
  const security::Credential& peer = streams.front()->peer();
  const bool right_meeting = !closed_ && streams.front()->stream().epoch == meeting_;
  for (const auto& [island, channel] : channels_) {
    if (right_meeting && channel->expects(peer)) return channel->accepted(std::move(streams));
  }
  log_warning("node " + peer.name + " came to a meeting at which it is not expected");
}

Status PartnerChannels::room(const Way& way, const Letter& letter) const {
  const auto bytes = [](std::size_t count) { return std::to_string(count) + " bytes"; };
  if (letter.payload.size() > site_.largest_letter) {
    return Error{Code::kUsage, "letter",
                 bytes(letter.payload.size()) + "; limit " + bytes(site_.largest_letter)};
  }
  if (way.unsent + cost_of(letter.payload.size()) <= kMostLargestUnsent * site_.largest_letter)
    return {};
  return Error{Code::kTimedOut, "letter",
               "it is too slow; " + bytes(way.unsent) + " wait for it already"};
}

bool PartnerChannels::send(std::uint32_t island, Letter letter) {
  Way way;
  Status room;
  {
    const std::lock_guard lock(mutex_);
    const auto found = ways_.find(island);
    if (found == ways_.end() || found->second.full) return false;
    room = this->room(found->second, letter);
    found->second.full = !room.ok();
    found->second.unsent += cost_of(letter.payload.size());
    way = found->second;
  }
  if (!room.ok()) {
    site_.loop.post(
        [this, island, number = way.number, why = room.error(), alive = std::weak_ptr(alive_)] {
          PartnerChannel* const channel = alive.expired() ? nullptr : still(island, number);
          if (channel != nullptr) channel->lost(why);
        });
    return false;
  }
  site_.loop.post([this, island, number = way.number,
                   message = letter_message({way.meeting, std::move(letter)}),
                   alive = std::weak_ptr(alive_)]() mutable {
    if (!alive.expired()) post(island, number, std::move(message));
  });
  return true;
}

/// The channel that a letter was given for, unless another has taken its place.
PartnerChannel* PartnerChannels::still(std::uint32_t island, std::uint64_t way) {
  const std::lock_guard lock(mutex_);
  const auto found = ways_.find(island);
  const bool there = found != ways_.end() && found->second.number == way;
  return there ? channels_.at(island).get() : nullptr;
}

void PartnerChannels::post(std::uint32_t island, std::uint64_t way, link::Message message) {
  PartnerChannel* const channel = still(island, way);
  if (channel == nullptr) return;
  const std::size_t bytes = cost_of(message.payload.size());
  channel->send(std::move(message),
                [this, island, way, bytes, alive = std::weak_ptr(alive_)](const Status&) {
                  if (!alive.expired()) left(island, way, bytes);
                });
}

void PartnerChannels::left(std::uint32_t island, std::uint64_t way, std::size_t bytes) {
  const std::lock_guard lock(mutex_);
  const auto found = ways_.find(island);
  if (found != ways_.end() && found->second.number == way) found->second.unsent -= bytes;
}

void PartnerChannels::present(const Bytes& credential) {
  for (const auto& [island, channel] : channels_) channel->present(credential);
}

std::uint64_t PartnerChannels::wire_bytes() const {
  std::uint64_t bytes = past_bytes_;
  for (const auto& [island, channel] : channels_) bytes += channel->wire_bytes();
  return bytes;
}

void PartnerChannels::close() {
  closed_ = true;
  {
    const std::lock_guard lock(mutex_);
    ways_.clear();
  }
  for (const auto& [island, channel] : channels_) past_bytes_ += channel->wire_bytes();
  channels_.clear();
}

}  // namespace reef::node
