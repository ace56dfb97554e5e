#include "ops/plugin/plugin.h"

#include <dlfcn.h>

#include <mutex>
#include <utility>
#include <vector>

namespace reef::ops {

namespace {

struct CloseLibrary {
  void operator()(void* library) const { dlclose(library); }
};
using Library = std::unique_ptr<void, CloseLibrary>;

struct Loaded {
  Library library;
  Backend backend;
};

/// What was loaded, and the lock under which that is done.
struct Registry {
  std::mutex mutex;
  std::vector<Loaded> loaded;
};

Registry& registry() {
  static Registry* const registry = new Registry;  // libraries stay until the process is gone
  return *registry;
}

Error refuse(const std::string& path, std::string why) {
  return {Code::kTensor, path, std::move(why)};
}

Result<Library> open_library(const std::string& path) {
  Library library(dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL));
  if (library != nullptr) return library;
  const char* const reason = dlerror();
  return Error{
      Code::kPath, path,
      "cannot be loaded as a plug-in: " + std::string(reason ? reason : "no reason given")};
}

/// The library's table, when it is one of this build.
Result<const Plugin*> table_of(const Library& library, const std::string& path) {
  using Entrance = const Plugin* (*)();
  const auto entrance = reinterpret_cast<Entrance>(dlsym(library.get(), "atoll_plugin"));
  if (entrance == nullptr) {
    return refuse(path, "is a library but not a plug-in of atoll: it exports no atoll_plugin");
  }
  const Plugin* const plugin = entrance();
  if (plugin == nullptr) return refuse(path, "its atoll_plugin returns no table");
  if (plugin->abi != kPluginAbi) {
    return refuse(path, "belongs to another build: its interface has number " +
                            std::to_string(plugin->abi) + ", this program's " +
                            std::to_string(kPluginAbi));
  }
  return plugin;
}

/// What the catalog insists on, asked before it is given them.
Status check_kernels(std::span<const Entry> kernels, Device device, const std::string& path) {
  for (const Entry& entry : kernels) {
    if (entry.key.device != device) {
      return refuse(path, "brings a kernel that is not for its own device: " + entry.key.text());
    }
    std::vector<const Entry*> candidates;
    for (const Entry& other : kernels) {
      if (other.key == entry.key) candidates.push_back(&other);
    }
    const Status fits = check_candidates(candidates);
    if (!fits.ok()) return refuse(path, fits.error().where + ": " + fits.error().what);
  }
  return {};
}

}  // namespace

Result<Backend> load_plugin(const std::string& path) {
  Registry& all = registry();
  const std::lock_guard lock(all.mutex);
  ATOLL_ASSIGN(Library library, open_library(path));
  for (const Loaded& known : all.loaded) {
    if (known.library == library) return known.backend;
  }
  ATOLL_ASSIGN(const Plugin* plugin, table_of(library, path));
  const Result<Device> device = add_device(plugin->name);
  if (!device.ok()) return refuse(path, device.error().what);
  const std::span<const Entry> kernels = plugin->kernels(*device);
  ATOLL_TRY(check_kernels(kernels, *device, path));
  add_kernels(kernels);
  const char* reason = "";
  Backend backend{*device, plugin->count(&reason), {}, plugin};
  if (backend.count == 0) backend.reason = reason;
  all.loaded.push_back({std::move(library), backend});
  return backend;
}

Result<std::shared_ptr<Context>> open_device(const Backend& backend, int index) {
  const std::string name = std::string(name_of(backend.device)) + ":" + std::to_string(index);
  if (index < 0 || index >= backend.count) {
    const std::string count = "this machine has " + std::to_string(backend.count) + " of them";
    return Error{Code::kTensor, name,
                 backend.reason.empty() ? count : count + ": " + backend.reason};
  }
  const char* reason = "no reason given";
  Context* const context = backend.plugin->open(backend.device, index, &reason);
  if (context == nullptr) return Error{Code::kTensor, name, reason};
  return std::shared_ptr<Context>(context, backend.plugin->close);
}

}  // namespace reef::ops
