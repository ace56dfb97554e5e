#include "tests/gpu/device.h"

#include <cstdlib>

namespace reef::ops::gpu {

const Backend& backend() {
  static const Backend loaded = [] {
    const char* const path = std::getenv("ATOLL_GPU_PLUGIN");
    return load_plugin(path != nullptr ? path : ATOLL_GPU_PLUGIN).value();
  }();
  return loaded;
}

std::string missing() { return backend().count > 0 ? "" : backend().reason; }

Context& context() {
  static const std::shared_ptr<Context> opened = another();
  return *opened;
}

std::shared_ptr<Context> another() { return open_device(backend()).value(); }

}  // namespace reef::ops::gpu
