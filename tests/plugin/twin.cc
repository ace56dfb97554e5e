// "twin": the device apart with all the kernels of the processor, so that a job gives the same bits
// on it as on the processor unless a copy or a wait is missing.

#include <array>
#include <utility>

#include "ops/catalog/table.h"
#include "ops/plugin/plugin.h"
#include "tests/plugin/device.h"
#include "tests/plugin/group.h"

namespace reef::apart {

namespace {

using namespace ops;  // a plug-in is made of little else

/// The processor, as the device's worker uses it.
class Worker final : public Context {
 public:
  Pool& pool() override { return pool_; }
  void parallel_for(std::size_t tasks, TaskRef task) override {
    for (std::size_t i = 0; i < tasks; ++i) task(i);
  }

 private:
  Pool pool_;
};

/// The tensor where the worker finds it. It holds no handle: memory is reused in the order of
/// launches.
Tensor behind(const Apart& device, const Tensor& tensor) {
  CHECK(tensor.device() == device.device() && device.space().holds(tensor.raw()))
      << "a kernel of the device was given memory of " << name_of(tensor.device());
  std::byte* const data = tensor.raw() + Space::kDistance;
  const std::shared_ptr<std::byte> nobody(std::shared_ptr<std::byte>(), data);
  return Tensor::wrap(nobody, data, tensor.dtype(), {1})
      .as_strided(tensor.shape(), tensor.strides());
}

template <Op op>
void later(const Call& call) {
  Apart& device = static_cast<Apart&>(call.context);
  std::vector<Tensor> in, out;
  for (const Tensor& tensor : call.in) in.push_back(behind(device, tensor));
  for (const Tensor& tensor : call.out) out.push_back(behind(device, tensor));
  device.launch([in = std::move(in), out = std::move(out), attributes = call.attributes]() mutable {
    thread_local Worker worker;
    run(worker, op, in, out, attributes);
  });
}

template <std::size_t... index>
constexpr std::array<Kernel, kOpCount> all_ops(std::index_sequence<index...>) {
  return {later<static_cast<Op>(index)>...};
}
constexpr std::array<Kernel, kOpCount> kLater = all_ops(std::make_index_sequence<kOpCount>());

std::vector<Entry> mirror(Device device) {
  std::vector<Entry> mirrored;
  for (const std::span<const Entry> table : built_in_kernels()) {
    for (const Entry& entry : table) {
      Key key = entry.key;
      if (key.device != Device::kCpu) continue;
      key.device = device;
      const bool known =
          std::ranges::any_of(mirrored, [&key](const Entry& other) { return other.key == key; });
      if (!known) mirrored.push_back({key, kLater[static_cast<std::size_t>(key.op)]});
    }
  }
  return mirrored;
}

std::span<const Entry> kernels(Device device) {
  name_device(device, "twin");  // for messages
  static const std::vector<Entry> entries = mirror(device);
  return entries;
}

int count(const char**) { return 2; }
Context* open(Device device, int, const char**) { return new Apart(device); }
void close(Context* context) { delete context; }

constexpr Plugin kPlugin{kPluginAbi, "twin", count, kernels, open, close, &kMeetings};

}  // namespace

}  // namespace reef::apart

const reef::ops::Plugin* atoll_plugin() { return &reef::apart::kPlugin; }
