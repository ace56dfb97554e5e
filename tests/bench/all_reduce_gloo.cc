// The peer: gloo over TCP on the loopback, its only way between processes of one machine.

#include <gloo/allreduce.h>
#include <gloo/allreduce_halving_doubling.h>
#include <gloo/allreduce_ring_chunked.h>
#include <gloo/math.h>
#include <gloo/rendezvous/context.h>
#include <gloo/rendezvous/file_store.h>
#include <gloo/transport/tcp/device.h>

#include "tests/bench/all_reduce.h"

namespace {

using Context = std::shared_ptr<gloo::Context>;

Context connect(const std::string& folder, unsigned rank, unsigned world) {
  auto context =
      std::make_shared<gloo::rendezvous::Context>(static_cast<int>(rank), static_cast<int>(world));
  gloo::rendezvous::FileStore store(folder);
  gloo::transport::tcp::attr loopback("127.0.0.1");
  auto device = gloo::transport::tcp::CreateDevice(loopback);
  context->connectFullMesh(store, device);
  return context;
}

bool options_form(const Context& context, gloo::AllreduceOptions::Algorithm algorithm,
                  float* values, std::size_t count) {
  gloo::AllreduceOptions options(context);
  options.setAlgorithm(algorithm);
  options.setOutput(values, count);
  options.setReduceFunction([](void* out, const void* a, const void* b, std::size_t n) {
    gloo::sum<float>(out, a, b, n);
  });
  gloo::allreduce(options);
  return true;
}

/// The older form is made for one buffer; making it is not part of what is timed twice.
template <typename Algorithm>
reef::bench::AllReduce buffer_form(const Context& context) {
  using Key = std::pair<float*, std::size_t>;
  auto made = std::make_shared<std::map<Key, std::unique_ptr<Algorithm>>>();
  return [context, made](float* values, std::size_t count) {
    auto& algorithm = (*made)[{values, count}];
    if (!algorithm)
      algorithm = std::make_unique<Algorithm>(context, std::vector<float*>{values},
                                              static_cast<int>(count));
    algorithm->run();
    return true;
  };
}

}  // namespace

int main(int count, char** arguments) {
  CLI::App app;
  reef::bench::AllReduceRun run;
  std::string algorithm = "ring";
  run.add_to(app);
  app.add_option("--algorithm", algorithm)
      ->check(CLI::IsMember({"ring", "bcube", "ring-chunked", "halving-doubling"}));
  CLI11_PARSE(app, count, arguments);
  return reef::bench::all_reduce_main(run, [&](unsigned rank) -> reef::bench::AllReduce {
    const Context context = connect(run.folder, rank, run.world);
    if (algorithm == "ring-chunked") return buffer_form<gloo::AllreduceRingChunked<float>>(context);
    if (algorithm == "halving-doubling")
      return buffer_form<gloo::AllreduceHalvingDoubling<float>>(context);
    const auto chosen = algorithm == "ring" ? gloo::AllreduceOptions::Algorithm::RING
                                            : gloo::AllreduceOptions::Algorithm::BCUBE;
    return [context, chosen](float* values, std::size_t size) {
      return options_form(context, chosen, values, size);
    };
  });
}
