#include "ops/tensor/device.h"

#include <array>
#include <mutex>
#include <string>

namespace reef::ops {

namespace {

struct Names {
  std::mutex mutex;
  std::array<std::string, kMaxDevices> of = {"cpu", "reference"};
  std::size_t count = 2;
};

Names& names() {
  static Names* const names = new Names;  // read at exit by whatever still logs
  return *names;
}

}  // namespace

std::string_view name_of(Device device) { return names().of[static_cast<std::size_t>(device)]; }

Result<Device> add_device(std::string_view name) {
  Names& all = names();
  const std::lock_guard lock(all.mutex);
  for (std::size_t i = 0; i < all.count; ++i) {
    if (all.of[i] == name) {
      return Error{Code::kTensor, "device", "'" + std::string(name) + "' is already there"};
    }
  }
  if (all.count == kMaxDevices) {
    return Error{Code::kTensor, "device", "no more than 8 kinds of device in a process"};
  }
  all.of[all.count] = name;
  return static_cast<Device>(all.count++);
}

void name_device(Device device, std::string_view name) {
  Names& all = names();
  const std::lock_guard lock(all.mutex);
  all.of[static_cast<std::size_t>(device)] = name;
}

Result<Device> device_named(std::string_view name) {
  Names& all = names();
  const std::lock_guard lock(all.mutex);
  std::string known;
  for (std::size_t i = 0; i < all.count; ++i) {
    if (all.of[i] == name) return static_cast<Device>(i);
    known += (i == 0 ? "" : ", ") + all.of[i];
  }
  return Error{Code::kTensor, "device",
               "none is called '" + std::string(name) + "'; there are " + known};
}

}  // namespace reef::ops
