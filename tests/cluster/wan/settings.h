#pragma once
// What one direction of a line is like, and the words in which people say it: the same on the
// command line and as commands to a line that runs.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "runtime/base/clock.h"
#include "runtime/base/error.h"

namespace reef::wan {

/// The queue of a line whose bandwidth-delay product is less: sixteen full packets.
inline constexpr std::uint64_t kLeastQueue = 16 * 1500;
/// No line may need more memory than this, both directions together.
inline constexpr std::uint64_t kMemoryLimit = std::uint64_t{512} << 20;

struct LineSettings {
  double rate = 0;       ///< bits a second, of packets with their IP headers and `overhead`
  Duration delay{};      ///< one way, after the last bit was sent
  Duration jitter{};     ///< the delay wanders within `delay` +- this
  bool reorder = false;  ///< each packet draws its own jitter, so that they overtake each other
  double loss = 0;       ///< probability that a packet, once sent, does not arrive
  std::uint64_t overhead =
      0;  ///< bytes of the line's own framing around each packet (Ethernet: 38)
  std::optional<std::uint64_t> queue;  ///< bytes; drop-tail. By default one bandwidth-delay product

  /// rate x round trip, if both directions are like this one; at least kLeastQueue.
  std::uint64_t queue_bytes() const;
  /// How much a line with these settings may hold at once: its queue and what is under way.
  double most_bytes() const;
  bool operator==(const LineSettings&) const = default;
};

/// The names that apply() knows: rate, delay, jitter, reorder, loss, overhead, queue.
const std::vector<std::string>& setting_names();

/// Changes one setting: ("rate", "50mbit"), ("loss", "0.1%"). Units as runtime/base/units, and tc's
/// lower-case rates ("50mbit", "1gbit"). kUsage names the setting and what it wants; then nothing
/// is changed.
Status apply(LineSettings& settings, std::string_view name, std::string_view value);

/// Whether a line can be like this; kUsage shows the arithmetic.
Status check(const LineSettings& settings);

/// "2s", "250ms": a time that a command takes, greater than 0 and at most a day.
Result<Duration> parse_span(std::string_view text);

}  // namespace reef::wan
