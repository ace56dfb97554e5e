#include "runtime/link/line_meter.h"

#include <algorithm>

#include "runtime/base/units.h"

namespace reef::link {
namespace {

/// Samples over which a rate is taken: at four a second a little more than a second.
constexpr std::size_t kSamples = 6;
/// Less says more of the system's buffers than of the line.
constexpr std::uint64_t kLeastBytes = 256 << 10;
constexpr Duration kLeastBusy = std::chrono::milliseconds(1);

}  // namespace

std::string format_line(const LineNow& line) {
  return format_rate(line.bits_per_second) + ", " + format_duration(line.round_trip);
}

void LineMeter::sample(const TransportStats& stats) {
  samples_.push_back(stats);
  if (samples_.size() > kSamples) samples_.pop_front();
  if (stats.round_trip > Duration::zero()) now_.round_trip = stats.round_trip;
  const TransportStats& first = samples_.front();
  const std::uint64_t bytes = stats.acknowledged_bytes - first.acknowledged_bytes;
  const Duration busy = stats.busy - first.busy;
  if (bytes < kLeastBytes || busy < kLeastBusy) return;
  now_.bits_per_second = 8 * static_cast<double>(bytes) / seconds(busy);
  // Bursts that are over at once count as busy until their last packets are acknowledged, which
  // peers delay: then bytes over busy time is far too little. What a burst reached may be old, and
  // on a line that is full it would mislead; there it does not count.
  const auto sending = std::ranges::count_if(samples_, &TransportStats::sending);
  if (2 * sending < std::ssize(samples_))
    now_.bits_per_second = std::max(now_.bits_per_second, stats.burst_rate);
}

}  // namespace reef::link
