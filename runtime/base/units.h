#pragma once
// Times, sizes and rates are written with their unit, as people say them: "250ms", "64MiB",
// "50Mbit/s".

#include <cstdint>
#include <string>
#include <string_view>

#include "runtime/base/clock.h"
#include "runtime/base/error.h"

namespace reef {

/// "10s", "250ms", "5min", "1h", "40us". A bare number is refused: the unit is the point.
Result<Duration> parse_duration(std::string_view text);
/// Bytes: "4096B", "64KiB", "8MiB", "2GiB", "1TiB", "10MB".
Result<std::uint64_t> parse_size(std::string_view text);
/// Bits per second: "50Mbit/s", "1Gbit/s", "800kbit/s".
Result<double> parse_rate(std::string_view text);
/// Floating-point operations per second: "40GFLOP/s", "1.2TFLOP/s".
Result<double> parse_speed(std::string_view text);
/// Bytes per second, of a memory: "20GB/s".
Result<double> parse_bandwidth(std::string_view text);

/// "1.5 MiB", for people.
std::string format_size(std::uint64_t bytes);
/// "48.2Mbit/s": three digits, as parse_rate reads them.
std::string format_rate(double bits_per_second);
/// "40.0GFLOP/s": three digits, as parse_speed reads them.
std::string format_speed(double flops_per_second);
/// "20.0GB/s": three digits, as parse_bandwidth reads them.
std::string format_bandwidth(double bytes_per_second);
/// "1h02m", "3m05s", "12.4s", "0.17ms", for people.
std::string format_duration(Duration duration);

}  // namespace reef
