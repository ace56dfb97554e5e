#include "runtime/app/bench/bench.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <iostream>
#include <nlohmann/json.hpp>

namespace reef::app {

namespace {

/// Four digits say all that a measurement knows.
double rounded(double value) { return std::stod(fmt::format("{:.4g}", value)); }

nlohmann::ordered_json number(const std::optional<double>& value) {
  return value ? nlohmann::ordered_json(rounded(*value)) : nlohmann::ordered_json(nullptr);
}

}  // namespace

std::optional<double> Row::ratio() const {
  return theirs ? std::optional(ours / *theirs) : std::nullopt;
}

bool Row::holds() const {
  const double held = ratio().value_or(ours);
  return at_least ? held >= target : held <= target;
}

std::string Row::json() const {
  nlohmann::ordered_json json;
  json["row"] = name;
  json["ours"] = number(ours);
  json["theirs"] = number(theirs);
  json["ratio"] = number(ratio());
  json["target"] = target;
  json["holds"] = holds();
  if (spread) json["spread"] = {rounded(spread->first), rounded(spread->second)};
  return json.dump();
}

std::string Row::text() const {
  std::string text = fmt::format("{}: {:.4g}", name, ours);
  if (theirs) text += fmt::format(" against {:.4g}, ratio {:.4g}", *theirs, *ratio());
  if (spread) text += fmt::format(", spread {:.2g} and {:.2g}", spread->first, spread->second);
  return text + fmt::format(", target at {} {:g}: {}", at_least ? "least" : "most", target,
                            holds() ? "holds" : "does not hold");
}

void print_row(const Row& row, bool json) {
  std::cout << (json ? row.json() : row.text()) << std::endl;
}

double median(std::vector<double> values) {
  const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  std::nth_element(values.begin(), middle, values.end());
  return *middle;
}

double spread(std::vector<double> values) {
  const double middle = median(values);
  for (double& value : values) value = std::abs(value - middle);
  return median(std::move(values));
}

Duration mean_time(Duration span, std::size_t least, const std::function<void()>& work) {
  const Time start = system_clock().now();
  Duration taken{};
  std::size_t calls = 0;
  for (; calls < least || taken < span; ++calls) {
    work();
    taken = system_clock().now() - start;
  }
  return taken / calls;
}

Duration median_time(std::size_t samples, std::size_t calls, const std::function<void()>& work) {
  std::vector<double> times;
  for (std::size_t sample = 0; sample < samples; ++sample) {
    const Time start = system_clock().now();
    for (std::size_t call = 0; call < calls; ++call) work();
    const Duration taken = system_clock().now() - start;
    times.push_back(static_cast<double>(taken.count()) / static_cast<double>(calls));
  }
  return Duration(static_cast<Duration::rep>(median(std::move(times)) + 0.5));
}

}  // namespace reef::app
