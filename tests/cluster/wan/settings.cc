#include "tests/cluster/wan/settings.h"

#include <algorithm>
#include <charconv>

#include "runtime/base/text.h"
#include "runtime/base/units.h"

namespace reef::wan {
namespace {

constexpr double kMostRate = 10e9;
constexpr std::chrono::seconds kMostDelay{10};
constexpr std::uint64_t kMostOverhead = 1000;

Error unusable(std::string_view name, const std::string& what) {
  return Error{Code::kUsage, std::string(name), what};
}

/// "50mbit" and "50mbit/s" as "50Mbit/s".
std::string house_rate(std::string_view text) {
  std::string rate(text);
  if (!rate.ends_with("/s")) rate += "/s";
  const std::size_t unit = rate.find_first_not_of("0123456789.");
  if (unit == std::string::npos) return rate;
  if (rate[unit] == 'm') rate[unit] = 'M';
  if (rate[unit] == 'g') rate[unit] = 'G';
  return rate;
}

Result<double> read_rate(std::string_view name, std::string_view text) {
  const auto rate = parse_rate(house_rate(text));
  if (!rate.ok() || *rate < 1000 || *rate > kMostRate) {
    return unusable(
        name, "'" + std::string(text) + "' is no rate from 1kbit to 10gbit; for instance 50mbit");
  }
  return *rate;
}

Result<Duration> read_delay(std::string_view name, std::string_view text) {
  const auto delay = parse_duration(text);
  if (!delay.ok() || *delay > kMostDelay) {
    return unusable(name,
                    "'" + std::string(text) + "' is no time from 0ms to 10s; for instance 50ms");
  }
  return *delay;
}

Result<double> read_loss(std::string_view name, std::string_view text) {
  const bool percent = text.ends_with('%');
  const std::string_view digits = percent ? text.substr(0, text.size() - 1) : text;
  double loss = 0;
  const auto [end, failure] = std::from_chars(digits.data(), digits.data() + digits.size(), loss);
  if (percent) loss /= 100;
  const bool whole = failure == std::errc() && end == digits.data() + digits.size();
  if (whole && loss >= 0 && loss <= 1) return loss;
  return unusable(name,
                  "'" + std::string(text) + "' is no share from 0% to 100%; for instance 0.1%");
}

Result<std::uint64_t> read_bytes(std::string_view name, std::string_view text, std::uint64_t most) {
  const auto bytes = parse_size(text);
  if (!bytes.ok() || *bytes > most) {
    return unusable(name, "'" + std::string(text) + "' is no size up to " + format_size(most) +
                              "; for instance 625kB");
  }
  return *bytes;
}

Result<bool> read_switch(std::string_view name, std::string_view text) {
  if (text == "on") return true;
  if (text == "off") return false;
  return unusable(name, "'" + std::string(text) + "' is neither on nor off");
}

}  // namespace

std::uint64_t LineSettings::queue_bytes() const {
  if (queue) return *queue;
  return std::max(kLeastQueue, static_cast<std::uint64_t>(rate / 8 * 2 * seconds(delay)));
}

double LineSettings::most_bytes() const {
  return static_cast<double>(queue_bytes()) + rate / 8 * seconds(delay + jitter);
}

const std::vector<std::string>& setting_names() {
  static const std::vector<std::string> names{"rate", "delay",    "jitter", "reorder",
                                              "loss", "overhead", "queue"};
  return names;
}

Status apply(LineSettings& settings, std::string_view name, std::string_view value) {
  LineSettings changed = settings;
  if (name == "rate") {
    ATOLL_ASSIGN(changed.rate, read_rate(name, value));
  } else if (name == "delay") {
    ATOLL_ASSIGN(changed.delay, read_delay(name, value));
  } else if (name == "jitter") {
    ATOLL_ASSIGN(changed.jitter, read_delay(name, value));
  } else if (name == "reorder") {
    ATOLL_ASSIGN(changed.reorder, read_switch(name, value));
  } else if (name == "loss") {
    ATOLL_ASSIGN(changed.loss, read_loss(name, value));
  } else if (name == "overhead") {
    ATOLL_ASSIGN(changed.overhead, read_bytes(name, value, kMostOverhead));
  } else if (name == "queue") {
    ATOLL_ASSIGN(changed.queue, read_bytes(name, value, kMemoryLimit));
  } else {
    const std::string near = nearest(name, setting_names());
    return unusable(
        name, "is no setting of a line; " + (near.empty() ? "there are " + join(setting_names())
                                                          : "did you mean " + near + "?"));
  }
  settings = changed;
  return {};
}

Status check(const LineSettings& settings) {
  if (settings.rate <= 0) return unusable("rate", "a line needs one; for instance 50mbit");
  if (settings.jitter > settings.delay) {
    return unusable("jitter",
                    "is more than the delay, so that packets would arrive before they are sent");
  }
  // Twice, for what describes the packets. Where most are tiny even that may not do: then the
  // budget drops and says so.
  const auto needed = static_cast<std::uint64_t>(2 * settings.most_bytes());
  if (needed > kMemoryLimit / 2) {
    return unusable("queue", "queue and rate x delay may need " + format_size(needed) +
                                 " in one direction; the limit is " +
                                 format_size(kMemoryLimit / 2));
  }
  return {};
}

Result<Duration> parse_span(std::string_view text) {
  const auto span = parse_duration(text);
  if (span.ok() && *span > Duration::zero() && *span <= std::chrono::hours(24)) return *span;
  return unusable("time", "'" + std::string(text) + "' is no time up to a day; for instance 2s");
}

}  // namespace reef::wan
