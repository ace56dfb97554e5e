// NVML's functions as atoll asks them, with INIT as what initialising returns and COUNT GPUs.

#include <cstdint>
#include <cstdio>

extern "C" {
struct FakeMemory {
  unsigned long long total, free, used;
};
int nvmlInit_v2() { return INIT; }
int nvmlShutdown() { return 0; }
int nvmlDeviceGetCount_v2(unsigned* count) {
  *count = COUNT;
  return 0;
}
int nvmlDeviceGetHandleByIndex_v2(unsigned index, void** device) {
  *device = reinterpret_cast<void*>(static_cast<std::uintptr_t>(index + 1));
  return 0;
}
int nvmlDeviceGetName(void* device, char* name, unsigned length) {
  std::snprintf(name, length, "Fake \x1b%u",
                static_cast<unsigned>(reinterpret_cast<std::uintptr_t>(device)));
  return 0;
}
int nvmlDeviceGetMemoryInfo(void*, FakeMemory* memory) {
  *memory = {std::uint64_t{80} << 30, 0, 0};
  return 0;
}
}
