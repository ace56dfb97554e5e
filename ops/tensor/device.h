#pragma once
// Where memory lives and which kernels may touch it.

#include <cstdint>
#include <string_view>

#include "runtime/base/error.h"

namespace reef::ops {

/// A kind of device. The CPU is built in; kReference is host memory served by the plain kernels
/// that the tests trust; plug-ins take numbers from kFirstPlugin as they are loaded.
enum class Device : std::uint8_t { kCpu = 0, kReference = 1, kFirstPlugin = 2 };
inline constexpr std::size_t kMaxDevices = 8;

std::string_view name_of(Device device);
/// True when the process's own kernels may read and write its memory.
constexpr bool is_host(Device device) { return device < Device::kFirstPlugin; }
/// The next free device, under this name; kTensor when the name is taken or none is left.
/// Thread: before kernels run (plug-ins are loaded at start).
Result<Device> add_device(std::string_view name);
/// Names a device in a plug-in's own copy of this code, where add_device() was not called.
void name_device(Device device, std::string_view name);
/// The device of this name.
Result<Device> device_named(std::string_view name);

}  // namespace reef::ops
