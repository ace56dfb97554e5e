#include "runtime/device/open.h"

#include "ops/plugin/plugin.h"
#include "runtime/device/cpu.h"

namespace reef::device {
namespace {

Error at_device(const DeviceName& device, Code code, const Error& error) {
  return {code, "device " + device.text(), error.where + ": " + error.what};
}

Result<ops::Backend> load(const DeviceName& device, const std::filesystem::path& plugins) {
  CHECK(device.is_valid() && !device.is_cpu()) << device.text();
  const std::filesystem::path library = plugins / ("libatoll_" + device.kind + ".so");
  std::error_code failure;
  if (!std::filesystem::exists(library, failure)) {
    return Error{Code::kPath, "device " + device.text(),
                 "there is no plug-in " + library.string() +
                     "; build it, or say with --plugins where it is"};
  }
  const Result<ops::Backend> loaded = ops::load_plugin(library.string());
  if (!loaded.ok()) return at_device(device, Code::kPath, loaded.error());
  if (ops::name_of(loaded->device) != device.kind) {
    return Error{Code::kPath, "device " + device.text(),
                 library.string() + " calls its devices '" +
                     std::string(ops::name_of(loaded->device)) + "'"};
  }
  return loaded;
}

Error absent(const DeviceName& device, const ops::Backend& backend) {
  return {Code::kNoFit, "device " + device.text(),
          "this machine has " + std::to_string(backend.count) + " of them" +
              (backend.reason.empty() ? "" : ": " + backend.reason)};
}

bool has(const ops::Backend& backend, const DeviceName& device) {
  return device.index < static_cast<std::uint32_t>(backend.count);
}

}  // namespace

std::filesystem::path default_plugins() {
  std::error_code failure;
  const auto program = std::filesystem::read_symlink("/proc/self/exe", failure);
  return failure ? "lib" : program.parent_path().parent_path() / "lib";
}

Status check_device(const DeviceName& device, const std::filesystem::path& plugins) {
  if (device.is_cpu()) return {};
  ATOLL_ASSIGN(const ops::Backend backend, load(device, plugins));
  if (!has(backend, device)) return absent(device, backend);
  return {};
}

Result<std::unique_ptr<ContextStream>> open_stream(const DeviceName& device, std::uint32_t threads,
                                                   const std::filesystem::path& plugins) {
  if (device.is_cpu()) {
    return std::unique_ptr<ContextStream>(std::make_unique<CpuStream>("compute", threads));
  }
  ATOLL_ASSIGN(const ops::Backend backend, load(device, plugins));
  if (!has(backend, device)) return absent(device, backend);
  auto context = ops::open_device(backend, static_cast<int>(device.index));
  if (!context.ok()) return at_device(device, Code::kNoFit, context.error());
  return std::make_unique<ContextStream>("compute", std::move(*context));
}

}  // namespace reef::device
