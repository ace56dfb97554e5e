#pragma once
// How a shared library adds a kind of device: one C function that returns a table. The program does
// not link against it, so a machine without the device's driver runs the same binary.
//
//   extern "C" const reef::ops::Plugin* atoll_plugin();
//
// The library is built from the same sources as the program: what crosses the border (Tensor,
// Context, Entry) must be laid out alike, and kPluginAbi is raised when one of them changes. It
// links ops/tensor statically and exports atoll_plugin alone, so the two copies of the code never
// meet; objects made on one side may be used and destroyed on the other.

#include <cstdint>
#include <memory>
#include <span>
#include <string>

#include "ops/catalog/catalog.h"
#include "ops/plugin/group.h"
#include "runtime/base/error.h"

namespace reef::ops {

inline constexpr std::uint32_t kPluginAbi = 4;

struct Plugin {
  std::uint32_t abi;  ///< kPluginAbi; checked before anything else is read
  const char* name;   ///< of the device: "cuda"
  /// How many of them this machine has. For none, `reason` says why: "no driver".
  int (*count)(const char** reason);
  /// Its kernels, keyed to the number that the device got in this process. Called once.
  std::span<const Entry> (*kernels)(Device device);
  /// A context with memory and an order of work of its own on the index-th device; null with a
  /// reason when that fails.
  Context* (*open)(Device device, int index, const char** reason);
  void (*close)(Context* context);
  const Groups* groups;  ///< of several of its devices; null: none
};

/// A loaded plug-in. It stays for the life of the process, because tensors may outlive everything
/// else.
struct Backend {
  Device device;
  int count = 0;       ///< devices on this machine
  std::string reason;  ///< when there are none
  const Plugin* plugin = nullptr;
};

/// Loads the library, gives its device a number and its kernels to the catalog; the same library
/// again is the same Backend. kPath when it cannot be loaded, kTensor when it is not a plug-in of
/// this build, when its device's name is taken or its kernels are for another device.
/// Thread: before kernels run.
Result<Backend> load_plugin(const std::string& path);
/// A context on one of the backend's devices; kTensor with the plug-in's reason when it cannot be.
Result<std::shared_ptr<Context>> open_device(const Backend& backend, int index = 0);

}  // namespace reef::ops

/// What each plug-in defines and exports; the program itself has none.
extern "C" const reef::ops::Plugin* atoll_plugin();
