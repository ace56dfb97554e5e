#include "runtime/link/channel/inbox.h"

#include <algorithm>
#include <utility>

namespace reef::link {
namespace {

Error wrong(std::string what) { return {Code::kProto, "", std::move(what)}; }

bool same_message(const Fragment& a, const Fragment& b) {
  return a.epoch == b.epoch && a.kind == b.kind && a.header_size == b.header_size &&
         a.payload_size == b.payload_size;
}

}  // namespace

bool Coverage::add(std::uint64_t begin, std::uint64_t end) {
  if (begin == end) return true;
  // Almost always at the end.
  auto after = intervals_.end();
  if (!intervals_.empty() && intervals_.back().begin > begin) {
    after = std::upper_bound(intervals_.begin(), intervals_.end(), begin,
                             [](std::uint64_t at, const Interval& i) { return at < i.begin; });
  }
  const bool joins_before = after != intervals_.begin() && (after - 1)->end >= begin;
  const bool joins_after = after != intervals_.end() && after->begin <= end;
  if (joins_before && (after - 1)->end > begin) return false;
  if (joins_after && after->begin < end) return false;
  size_ += end - begin;
  if (joins_before && joins_after) {
    (after - 1)->end = after->end;
    intervals_.erase(after);
  } else if (joins_before) {
    (after - 1)->end = end;
  } else if (joins_after) {
    after->begin = begin;
  } else {
    if (intervals_.size() == kMaxGaps) return false;
    intervals_.insert(after, {begin, end});
  }
  return true;
}

Inbox::Inbox(std::size_t max_payload, std::size_t streams)
    : max_payload_(max_payload),
      most_reserved_(2 * kLanes * (kMaxMessageHeader + std::uint64_t{max_payload}) +
                     std::uint64_t{streams} * kMaxInFlight) {}

Status Inbox::take(const RecordHeader& header, BytesView body) {
  ATOLL_ASSIGN(Fragment fragment, parse_fragment(header, body, max_payload_));
  LaneState& lane = lanes_[static_cast<std::size_t>(fragment.lane)];
  if (fragment.number < lane.turn) return wrong("a fragment of a message that is over");
  if (fragment.number - lane.turn >= kMaxAhead) return wrong("a message far ahead of its turn");

  const bool first = !lane.partial.contains(fragment.number);
  if (first && fragment.bytes.size() == fragment.message_size() && fragment.number == lane.turn) {
    ready_.push_back(whole(fragment));
    ++lane.turn;
    settle(lane);
    return {};
  }

  ATOLL_ASSIGN(Partial* const partial, find(lane, fragment));
  if (fragment.abort) {
    if (partial->aborted || partial->coverage.end() > fragment.offset) {
      return wrong("an abort of what was never sent");
    }
    partial->aborted = true;
    partial->size = fragment.offset;
  } else {
    const std::uint64_t end = fragment.offset + fragment.bytes.size();
    if (end > partial->size) return wrong("more of an aborted message");
    if (!partial->coverage.add(fragment.offset, end)) return wrong("a fragment twice");
    std::copy(fragment.bytes.begin(), fragment.bytes.end(), partial->bytes.get() + fragment.offset);
  }
  settle(lane);
  return {};
}

Result<Inbox::Partial*> Inbox::find(LaneState& lane, const Fragment& fragment) {
  const auto found = lane.partial.find(fragment.number);
  if (found != lane.partial.end()) {
    if (!same_message(found->second.about, fragment)) return wrong("fragments that do not agree");
    return &found->second;
  }
  if (fragment.message_size() > most_reserved_ - reserved_) {
    return wrong("more messages at once than fit on a line");
  }
  reserved_ += fragment.message_size();
  Partial& partial = lane.partial[fragment.number];
  partial.about = fragment;
  partial.about.bytes = {};
  partial.bytes = std::make_shared_for_overwrite<std::byte[]>(fragment.message_size());
  partial.size = fragment.message_size();
  return &partial;
}

/// Hands over the messages of the lane whose turn has come.
void Inbox::settle(LaneState& lane) {
  while (!lane.partial.empty()) {
    const auto front = lane.partial.begin();
    if (front->first != lane.turn || !front->second.complete()) return;
    reserved_ -= front->second.about.message_size();
    ++lane.turn;
    Partial partial = std::move(lane.partial.extract(front).mapped());
    if (!partial.aborted) ready_.push_back(message_of(std::move(partial)));
  }
}

Message Inbox::whole(const Fragment& fragment) {
  Message message;
  message.kind = fragment.kind;
  message.lane = fragment.lane;
  message.epoch = fragment.epoch;
  message.header = to_bytes(fragment.bytes.first(fragment.header_size));
  message.payload = Payload(to_bytes(fragment.bytes.subspan(fragment.header_size)));
  return message;
}

Message Inbox::message_of(Partial partial) {
  Message message;
  message.kind = partial.about.kind;
  message.lane = partial.about.lane;
  message.epoch = partial.about.epoch;
  const BytesView bytes(partial.bytes.get(), partial.about.message_size());
  message.header = to_bytes(bytes.first(partial.about.header_size));
  message.payload = Payload(std::move(partial.bytes), bytes.subspan(partial.about.header_size));
  return message;
}

std::optional<Message> Inbox::next() {
  if (ready_.empty()) return {};
  Message message = std::move(ready_.front());
  ready_.pop_front();
  return message;
}

void Inbox::clear() {
  for (LaneState& lane : lanes_) lane.partial.clear();
  ready_.clear();
  reserved_ = 0;
}

}  // namespace reef::link
