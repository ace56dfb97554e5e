#include "runtime/app/bench/roofline.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <functional>
#include <map>

#include "ops/functional/functional.h"

namespace reef::app {

namespace {

using ops::DType;
using ops::Tensor;

/// Seconds of the fastest of `tries` calls.
double best_time(int tries, const std::function<void()>& work) {
  double best = 1e30;
  for (int i = 0; i < tries; ++i) {
    const auto began = std::chrono::steady_clock::now();
    work();
    const std::chrono::duration<double> took = std::chrono::steady_clock::now() - began;
    best = std::min(best, took.count());
  }
  return best;
}

}  // namespace

Roofline measure_roofline(ops::Context& context) {
  Roofline roofline;
  // Shapes of a small transformer and a cubic one: the best of them is the peak.
  constexpr std::int64_t kShapes[][3] = {{2048, 1152, 384}, {2048, 1536, 384}, {1024, 1024, 1024}};
  for (const auto& [rows, columns, inner] : kShapes) {
    const Tensor a = ops::fill(context, DType::kF32, {rows, inner}, 0.5);
    const Tensor b = ops::fill(context, DType::kF32, {inner, columns}, 0.25);
    const double seconds = best_time(10, [&] { ops::matmul(context, a, b, ops::Product::kNN); });
    const double flops = 2.0 * static_cast<double>(rows * columns * inner);
    roofline.flops_per_second = std::max(roofline.flops_per_second, flops / seconds);
  }
  const Tensor a = ops::fill(context, DType::kF32, {1 << 20}, 1);
  const Tensor b = ops::fill(context, DType::kF32, {1 << 20}, 2);
  const double seconds = best_time(50, [&] { ops::add(context, a, b); });
  roofline.bytes_per_second = 3.0 * static_cast<double>(a.size_bytes()) / seconds;
  return roofline;
}

void CostMeter::launched(ops::Op op, const ops::Call& call) {
  std::vector<ops::TensorSpec> specs;
  for (const Tensor& tensor : call.in) specs.push_back(tensor.spec());
  ran_.push_back({op, ops::cost_of(op, specs, call.attributes)});
  began_ = system_clock().now();
}

void CostMeter::returned(ops::Op, const ops::Call&) {
  ran_.back().seconds = seconds(system_clock().now() - began_);
}

double least_seconds(const Roofline& roofline, const ops::Cost& cost) {
  return std::max(cost.flops / roofline.flops_per_second, cost.bytes / roofline.bytes_per_second);
}

std::string profile_of(const Roofline& roofline, std::span<const Ran> ran) {
  struct Sum {
    std::size_t calls = 0;
    double seconds = 0, least = 0;
  };
  std::map<ops::Op, Sum> sums;
  double all = 0;
  for (const Ran& one : ran) {
    Sum& sum = sums[one.op];
    sum.calls += 1;
    sum.seconds += one.seconds;
    sum.least += least_seconds(roofline, one.cost);
    all += one.seconds;
  }
  std::vector<std::pair<ops::Op, Sum>> sorted(sums.begin(), sums.end());
  std::sort(sorted.begin(), sorted.end(),
            [](const auto& a, const auto& b) { return a.second.seconds > b.second.seconds; });
  std::string text =
      fmt::format("{:<22}{:>7}{:>11}{:>8}{:>11}\n", "op", "calls", "ms", "share", "of roofline");
  for (const auto& [op, sum] : sorted) {
    text += fmt::format("{:<22}{:>7}{:>11.2f}{:>7.1f}%{:>11.2f}\n", ops::name_of(op), sum.calls,
                        1e3 * sum.seconds, 100 * sum.seconds / all, sum.least / sum.seconds);
  }
  return text;
}

}  // namespace reef::app
