#include "runtime/machine/gpu.h"

#include <dlfcn.h>

#include <array>
#include <memory>

#include "runtime/base/utf8.h"

namespace reef::machine {
namespace {

// The part of nvml.h that is asked here; its functions return 0 for success.
using Device = struct Opaque*;
struct Memory {
  unsigned long long total, free, used;
};
constexpr unsigned kMostGpus = 1024;

struct Close {
  void operator()(void* library) const { dlclose(library); }
};

class Nvml {
 public:
  explicit Nvml(const std::string& library) : library_(dlopen(library.c_str(), RTLD_NOW)) {
    if (library_ == nullptr) return;
    load(init_, "nvmlInit_v2");
    load(shutdown_, "nvmlShutdown");
    load(count_, "nvmlDeviceGetCount_v2");
    load(device_, "nvmlDeviceGetHandleByIndex_v2");
    load(name_, "nvmlDeviceGetName");
    load(memory_, "nvmlDeviceGetMemoryInfo");
    begun_ = whole() && init_() == 0;
  }
  ~Nvml() {
    if (begun_) shutdown_();
  }
  Nvml(const Nvml&) = delete;
  Nvml& operator=(const Nvml&) = delete;

  bool loaded() const { return library_ != nullptr; }
  bool whole() const {
    return init_ != nullptr && shutdown_ != nullptr && count_ != nullptr && device_ != nullptr &&
           name_ != nullptr && memory_ != nullptr;
  }
  bool begun() const { return begun_; }

  /// False when the driver does not answer.
  bool list(std::vector<Gpu>& gpus) const {
    unsigned count = 0;
    if (count_(&count) != 0 || count > kMostGpus) return false;
    for (unsigned i = 0; i < count; ++i) {
      Device device = nullptr;
      std::array<char, 128> name{};
      Memory memory{};
      if (device_(i, &device) != 0 || name_(device, name.data(), name.size() - 1) != 0 ||
          memory_(device, &memory) != 0) {
        return false;
      }
      gpus.push_back({printable(name.data()), memory.total});
    }
    return true;
  }

 private:
  template <typename F>
  void load(F& function, const char* name) {
    function = reinterpret_cast<F>(dlsym(library_.get(), name));
  }

  std::unique_ptr<void, Close> library_;
  int (*init_)() = nullptr;
  int (*shutdown_)() = nullptr;
  int (*count_)(unsigned*) = nullptr;
  int (*device_)(unsigned, Device*) = nullptr;
  int (*name_)(Device, char*, unsigned) = nullptr;
  int (*memory_)(Device, Memory*) = nullptr;
  bool begun_ = false;
};

}  // namespace

Gpus discover_gpus(const std::string& library) {
  const Nvml nvml(library);
  Gpus gpus;
  if (!nvml.loaded()) {
    gpus.none_because = library + " is not here";
  } else if (!nvml.whole()) {
    gpus.none_because = library + " is not NVML, or too old";
  } else if (!nvml.begun()) {
    gpus.none_because = library + " is here, but its driver is not";
  } else if (!nvml.list(gpus.found)) {
    gpus = {{}, "the driver does not answer"};
  } else if (gpus.found.empty()) {
    gpus.none_because = "the driver has none";
  }
  return gpus;
}

}  // namespace reef::machine
