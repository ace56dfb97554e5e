#include "tests/cluster/wan/line.h"

#include <algorithm>
#include <cmath>

namespace reef::wan {
namespace {

// Rows of the random numbers.
constexpr std::uint64_t kLossRow = 0, kOwnJitterRow = 1, kWanderingRow = 2;

Duration at_rate(std::uint64_t bytes, double rate) {
  return Duration(static_cast<std::int64_t>(static_cast<double>(bytes) * 8e9 / rate));
}

}  // namespace

Line::Line(Budget& budget, const LineSettings& settings, std::uint64_t seed, std::string_view name,
           Duration batch)
    : budget_(budget),
      settings_(settings),
      queue_limit_(settings.queue_bytes()),
      random_(seed, name),
      batch_(batch) {}

std::uint64_t Line::wire_bytes(const Packet& packet, std::uint32_t segment) const {
  return packet.shape().wire_bytes(segment) + settings_.overhead;
}

void Line::accept(const Offload& offload, BytesView bytes, Time now) {
  advance(now);
  const auto shape = shape_of(offload, bytes);
  if (!shape.ok()) {
    ++counters_.malformed;
    return;
  }
  counters_.accepted += shape->count;
  for (std::uint32_t i = 0; i < shape->count; ++i) {
    counters_.accepted_bytes += shape->wire_bytes(i) + settings_.overhead;
  }
  if (dark(now)) {
    counters_.blackout_dropped += shape->count;
    return;
  }
  const PacketPointer packet = Packet::make(budget_, offload, *shape, bytes);
  if (!packet) {
    counters_.memory_dropped += shape->count;
    return;
  }
  for (std::uint32_t i = 0; i < shape->count; ++i) {
    const std::uint64_t wire = wire_bytes(*packet, i);
    const bool idle = queue_.empty() && free_at_ <= now;
    if (!idle && queued_bytes_ + wire > queue_limit_) {
      ++counters_.queue_dropped;
      continue;  // a shorter last segment may still fit
    }
    queue_.push_back({packet, i, now});
    queued_bytes_ += wire;
    advance(now);
    counters_.queue_most_bytes = std::max(counters_.queue_most_bytes, queued_bytes_);
  }
}

void Line::advance(Time now) {
  while (!queue_.empty() && free_at_ <= now) start_first();
}

void Line::start_first() {
  Waiting first = std::move(queue_.front());
  queue_.pop_front();
  const std::uint64_t wire = wire_bytes(*first.packet, first.segment);
  queued_bytes_ -= wire;
  free_at_ = std::max(free_at_, first.came) + at_rate(wire, settings_.rate);
  send_on(std::move(first.packet), first.segment, free_at_);
}

void Line::send_on(PacketPointer packet, std::uint32_t segment, Time sent) {
  const std::uint64_t index = started_++;
  // 2^32 values, so that a loss of 1 loses everything.
  if (random_.bits(kLossRow, index) < settings_.loss * 0x1p32) {
    ++counters_.lost;
    return;
  }
  Time arrives = sent + delay_at(sent);
  if (!settings_.reorder) {
    if (!under_way_.empty()) arrives = std::max(arrives, under_way_.back().arrives);
    under_way_.push_back({arrives, std::move(packet), segment});
    return;
  }
  const auto place =
      std::upper_bound(under_way_.begin(), under_way_.end(), arrives,
                       [](Time time, const UnderWay& entry) { return time < entry.arrives; });
  under_way_.insert(place, {arrives, std::move(packet), segment});
}

Duration Line::delay_at(Time sent) {
  if (settings_.jitter == Duration::zero()) return settings_.delay;
  const double share =
      settings_.reorder ? random_.uniform(kOwnJitterRow, started_) * 2.0 - 1.0 : wandering(sent);
  return settings_.delay +
         Duration(static_cast<std::int64_t>(share * static_cast<double>(settings_.jitter.count())));
}

/// A path between draws in [-1, 1], each `apart` after the last. Were each packet to draw for
/// itself and wait for the one before, all would soon have the largest delay; with draws at least
/// two jitters apart none can catch up.
double Line::wandering(Time sent) const {
  const Duration apart = std::chrono::milliseconds(10) + 2 * settings_.jitter;
  const auto since = sent.time_since_epoch();
  const auto knot = static_cast<std::uint64_t>(since / apart);
  const double along =
      static_cast<double>((since % apart).count()) / static_cast<double>(apart.count());
  const double from = random_.uniform(kWanderingRow, knot),
               to = random_.uniform(kWanderingRow, knot + 1);
  return (from + (to - from) * along) * 2.0 - 1.0;
}

Time Line::next(Time now) {
  advance(now);
  if (under_way_.empty()) return queue_.empty() ? kNoDeadline : free_at_;
  const Time first = under_way_.front().arrives;
  // What starts next may overtake, so the serialiser has to be looked at.
  if (settings_.reorder) return queue_.empty() ? first : std::min(first, free_at_);
  const Time end = first + batch_;
  const auto beyond =
      std::upper_bound(under_way_.begin(), under_way_.end(), end,
                       [](Time time, const UnderWay& entry) { return time < entry.arrives; });
  if (beyond == under_way_.end() && !queue_.empty()) return end;  // more may join
  return std::prev(beyond)->arrives;
}

void Line::deliver(Time now, const Sink& sink) {
  advance(now);
  while (!under_way_.empty() && under_way_.front().arrives <= now) {
    const PacketPointer packet = std::move(under_way_.front().packet);
    const std::uint32_t first = under_way_.front().segment;
    std::uint32_t count = 0;
    do {
      counters_.delivered_bytes += wire_bytes(*packet, first + count);
      ++count;
      under_way_.pop_front();
    } while (!under_way_.empty() && under_way_.front().arrives <= now &&
             under_way_.front().packet == packet && under_way_.front().segment == first + count);
    counters_.delivered += count;
    sink(packet->cut(first, count));
  }
}

void Line::set(const LineSettings& settings, Time now) {
  advance(now);
  settings_ = settings;
  if (settings.queue) queue_limit_ = *settings.queue;
  queued_bytes_ = 0;  // anew, since the overhead may have changed
  for (const Waiting& waiting : queue_)
    queued_bytes_ += wire_bytes(*waiting.packet, waiting.segment);
}

void Line::blackout(Time end, Time now) {
  advance(now);
  dark_until_ = end;
  counters_.blackout_dropped += queue_.size() + under_way_.size();
  queue_.clear();
  queued_bytes_ = 0;
  under_way_.clear();
}

}  // namespace reef::wan
