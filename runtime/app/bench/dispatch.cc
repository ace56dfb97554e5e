// What an op costs apart from its work: inference, allocation, the search for a kernel.

#include <array>

#include "ops/catalog/catalog.h"
#include "ops/cpu/thread_pool.h"
#include "runtime/app/bench/bench.h"

namespace reef::app {

namespace {

constexpr double kTargetNanoseconds = 200;

Result<int> bench_dispatch(bool json) {
  ops::ThreadPool context(1);
  const std::array in{ops::Tensor::zeros(context.pool(), ops::DType::kF32, {1})};
  const ops::Attributes attributes;
  const Duration one = median_time(500, 1000, [&context, &in, &attributes] {
    std::array<ops::Tensor, 1> out;
    ops::run(context, ops::Op::kNeg, in, out, attributes);
  });
  print_row({.name = "dispatch-ns",
             .ours = static_cast<double>(one.count()),
             .theirs = {},
             .target = kTargetNanoseconds},
            json);
  return 0;
}

}  // namespace

void add_bench_dispatch(CLI::App& bench, Action& action) {
  auto json = std::make_shared<bool>(false);
  CLI::App* command = bench.add_subcommand(
      "dispatch", "Nanoseconds of one op on one element: shapes, memory, kernel and all");
  command->add_flag("--json", *json, "Print the row as JSON");
  command->callback([json, &action] { action = [json] { return bench_dispatch(*json); }; });
}

}  // namespace reef::app
