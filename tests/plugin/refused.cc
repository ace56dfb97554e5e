// Plug-ins with something wrong, one for each set of definitions.

#include "ops/plugin/plugin.h"

namespace {

using namespace reef::ops;

int none(const char** reason) {
  *reason = "no driver";
  return 0;
}

std::span<const Entry> kernels(Device device) {
  const Device of = ATOLL_STRAY ? Device::kCpu : device;
  static const Key key{Op::kGelu, of, DType::kF32, Layout::kRowMajor};
  static const Entry entries[] = {{key, [](const Call&) {}, "one"},
                                  {key, [](const Call&) {}, "two", ATOLL_CLASS}};
  return entries;
}

Context* open(Device, int, const char**) { return nullptr; }
void close(Context*) {}

}  // namespace

const Plugin* atoll_plugin() {
  static const Plugin plugin{
      kPluginAbi + ATOLL_LATER, ATOLL_NAME, none, kernels, open, close, nullptr};
  return &plugin;
}
