#pragma once
// From a device's name to its stream. A plug-in is found by the name: "cuda" is libatoll_cuda.so in
// the folder of plug-ins, so that a name which came from elsewhere chooses among what the machine's
// owner has put there, and can load nothing else.

#include <filesystem>
#include <memory>

#include "runtime/base/device_name.h"
#include "runtime/device/context_stream.h"

namespace reef::device {

/// Where plug-ins are when nobody says: lib beside the folder of this program.
std::filesystem::path default_plugins();

/// Failure: kPath without a plug-in of this build, kNoFit when the machine has no such device, each
/// with the reason. Thread: before kernels run.
Result<std::unique_ptr<ContextStream>> open_stream(const DeviceName& device, std::uint32_t threads,
                                                   const std::filesystem::path& plugins);
/// The same failures, without opening the device.
Status check_device(const DeviceName& device, const std::filesystem::path& plugins);

}  // namespace reef::device
