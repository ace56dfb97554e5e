#include "ops/cpu/onednn/stream.h"

#include <omp.h>

#include "runtime/base/check.h"

namespace reef::ops::cpu::onednn {

namespace {

dnnl::stream& stream_of_this_thread() {
  // oneDNN would start a team of its own beside our workers, and split K among it. The setting is
  // OpenMP's per-thread one, so it is made once on each thread that comes here.
  static thread_local const bool alone = (omp_set_num_threads(1), true);
  static thread_local dnnl::stream stream(engine());
  CHECK(alone);
  return stream;
}

}  // namespace

const dnnl::engine& engine() {
  static const dnnl::engine engine(dnnl::engine::kind::cpu, 0);
  return engine;
}

void compute_alone() { stream_of_this_thread(); }

void execute(const dnnl::primitive& primitive, const Arguments& arguments) {
  try {
    dnnl::stream& stream = stream_of_this_thread();
    primitive.execute(stream, arguments);
    stream.wait();
  } catch (const dnnl::error& error) {
    CHECK(false) << "oneDNN accepted a primitive and cannot run it: " << error.what();
  }
}

dnnl::memory view(const dnnl::memory::desc& desc, const void* data) {
  return {desc, engine(), const_cast<void*>(data)};
}

dnnl::primitive_attr caller_keeps_scratch() {
  dnnl::primitive_attr attributes;
  attributes.set_scratchpad_mode(dnnl::scratchpad_mode::user);
  return attributes;
}

}  // namespace reef::ops::cpu::onednn
