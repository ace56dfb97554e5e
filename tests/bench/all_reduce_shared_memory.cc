// Ours: processes that share memory.

#include "collectives/local/shared_memory.h"
#include "runtime/base/clock.h"
#include "tests/bench/all_reduce.h"

int main(int count, char** arguments) {
  using namespace reef;
  CLI::App app;
  bench::AllReduceRun run;
  std::size_t chunk_kib = collectives::SharedMemoryOptions{}.chunk_bytes >> 10;
  run.add_to(app);
  app.add_option("--chunk-kib", chunk_kib);
  CLI11_PARSE(app, count, arguments);
  return bench::all_reduce_main(run, [&](unsigned rank) {
    const auto soon = [] { return system_clock().now() + std::chrono::seconds(30); };
    auto joined = collectives::join_shared_memory(
        {run.folder + "/group", rank, run.world, chunk_kib << 10}, soon());
    const std::shared_ptr<collectives::LocalGroup> group = std::move(joined).value();
    return [group, soon](float* values, std::size_t size) {
      return group->all_reduce({values, size}, soon()).ok();
    };
  });
}
