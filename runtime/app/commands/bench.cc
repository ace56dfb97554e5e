#include "runtime/app/bench/bench.h"

namespace reef::app {

void add_bench(CLI::App& app, Action& action) {
  CLI::App* command =
      app.add_subcommand("bench", "Measure this machine, each figure beside its target");
  command->require_subcommand(1);
  add_bench_attention(*command, action);
  add_bench_codec(*command, action);
  add_bench_dispatch(*command, action);
  add_bench_link(*command, action);
  add_bench_plan(*command, action);
  add_bench_seal(*command, action);
  add_bench_tune(*command, action);
  add_bench_step(*command, action);
  add_bench_runtime(*command, action);
}

}  // namespace reef::app
