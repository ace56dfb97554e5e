#include "runtime/base/units.h"

#include <array>
#include <charconv>
#include <cmath>
#include <cstdio>
#include <span>

#include "runtime/base/utf8.h"

namespace reef {
namespace {

struct Unit {
  std::string_view name;
  double factor;
};

constexpr std::array kTimes{Unit{"ns", 1},     Unit{"us", 1e3},   Unit{"ms", 1e6},   Unit{"s", 1e9},
                            Unit{"min", 60e9}, Unit{"h", 3600e9}, Unit{"d", 86400e9}};
constexpr std::array kSizes{Unit{"B", 1},        Unit{"KiB", 0x1p10}, Unit{"MiB", 0x1p20},
                            Unit{"GiB", 0x1p30}, Unit{"TiB", 0x1p40}, Unit{"kB", 1e3},
                            Unit{"MB", 1e6},     Unit{"GB", 1e9},     Unit{"TB", 1e12}};
constexpr std::array kRates{Unit{"bit/s", 1}, Unit{"kbit/s", 1e3}, Unit{"Mbit/s", 1e6},
                            Unit{"Gbit/s", 1e9}, Unit{"Tbit/s", 1e12}};
constexpr std::array kSpeeds{Unit{"FLOP/s", 1},    Unit{"kFLOP/s", 1e3},  Unit{"MFLOP/s", 1e6},
                             Unit{"GFLOP/s", 1e9}, Unit{"TFLOP/s", 1e12}, Unit{"PFLOP/s", 1e15}};
constexpr std::array kBandwidths{Unit{"B/s", 1}, Unit{"kB/s", 1e3}, Unit{"MB/s", 1e6},
                                 Unit{"GB/s", 1e9}, Unit{"TB/s", 1e12}};

Result<double> parse(std::string_view text, std::span<const Unit> units, std::string_view example) {
  double number = 0;
  const auto [end, failure] = std::from_chars(text.data(), text.data() + text.size(), number);
  const std::string_view unit(end, text.data() + text.size() - end);
  if (failure == std::errc() && std::isfinite(number) && number >= 0) {
    for (const Unit& known : units) {
      if (known.name == unit && number * known.factor < 0x1p62) return number * known.factor;
    }
  }
  std::string what = "'" + printable(text) + "' is not a number with a unit of";
  for (const Unit& known : units) what += " " + std::string(known.name);
  return Error{Code::kJobValue, "", what + "; for instance " + std::string(example)};
}

/// Three digits in the largest of a thousandfold series of units that leaves at least one before
/// the point.
std::string format(double value, std::span<const Unit> units) {
  std::size_t unit = 0;
  for (; value >= 999.5 && unit + 1 < units.size(); ++unit) value /= 1000;
  char text[48];
  const int decimals = value < 9.995 ? 2 : value < 99.95 ? 1 : 0;
  std::snprintf(text, sizeof text, "%.*f%s", decimals, value, units[unit].name.data());
  return text;
}

}  // namespace

Result<Duration> parse_duration(std::string_view text) {
  ATOLL_ASSIGN(const double ns, parse(text, kTimes, "250ms"));
  return Duration(static_cast<std::int64_t>(ns));
}

Result<std::uint64_t> parse_size(std::string_view text) {
  ATOLL_ASSIGN(const double bytes, parse(text, kSizes, "64MiB"));
  return static_cast<std::uint64_t>(bytes);
}

Result<double> parse_rate(std::string_view text) { return parse(text, kRates, "50Mbit/s"); }

Result<double> parse_speed(std::string_view text) { return parse(text, kSpeeds, "40GFLOP/s"); }

Result<double> parse_bandwidth(std::string_view text) { return parse(text, kBandwidths, "20GB/s"); }

std::string format_size(std::uint64_t bytes) {
  constexpr std::array names{"B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
  double value = static_cast<double>(bytes);
  std::size_t unit = 0;
  while (value >= 1024 && unit + 1 < names.size()) {
    value /= 1024;
    ++unit;
  }
  char text[32];
  std::snprintf(text, sizeof text, unit == 0 ? "%.0f %s" : "%.1f %s", value, names[unit]);
  return text;
}

std::string format_rate(double bits_per_second) { return format(bits_per_second, kRates); }

std::string format_speed(double flops_per_second) { return format(flops_per_second, kSpeeds); }

std::string format_bandwidth(double bytes_per_second) {
  return format(bytes_per_second, kBandwidths);
}

std::string format_duration(Duration duration) {
  const double total = seconds(duration);
  const auto whole = static_cast<long long>(std::llround(total));
  char text[32];
  if (total > 0 && total < 0.1) {
    std::snprintf(text, sizeof text, "%.2fms", 1000 * total);
  } else if (total < 60) {
    std::snprintf(text, sizeof text, "%.1fs", total);
  } else if (whole < 3600) {
    std::snprintf(text, sizeof text, "%lldm%02llds", whole / 60, whole % 60);
  } else {
    std::snprintf(text, sizeof text, "%lldh%02lldm", whole / 3600, whole / 60 % 60);
  }
  return text;
}

}  // namespace reef
