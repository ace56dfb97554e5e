// Runs a list of ops on the CPU and on the plain kernels, for ops_compare.py to hold against
// PyTorch.
//
// usage: reference_ops FOLDER
// FOLDER/cases.json: [{"name", "op", "attributes": {..}, "inputs": [tensor..], "writes":
// [tensor..]}] with tensor = {"file", "dtype", "shape"[, "order"]}: raw elements, read with the
// axes in "order". "writes" are the tensors of an update in place. Output i of a case on a device
// goes to FOLDER/NAME.DEVICE.i, and what all of them are to FOLDER/results.json.

#include <cstdio>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <string>
#include <type_traits>
#include <vector>

#include "ops/catalog/catalog.h"
#include "ops/cpu/thread_pool.h"
#include "ops/functional/move.h"
#include "runtime/base/file.h"

namespace reef::ops {
namespace {

using nlohmann::json;
namespace fs = std::filesystem;

/// Not reef::write_file, which would wait for the disk hundreds of times.
void write_raw(const fs::path& path, BytesView bytes) {
  std::ofstream file(path, std::ios::binary);
  file.write(reinterpret_cast<const char*>(bytes.data()),
             static_cast<std::streamsize>(bytes.size()));
  CHECK(file.good()) << path.string();
}

DType dtype_named(const std::string& name) {
  for (std::size_t i = 0; i < kDTypeCount; ++i) {
    if (name_of(static_cast<DType>(i)) == name) return static_cast<DType>(i);
  }
  CHECK(false) << "no dtype is called " << name;
  return DType::kF32;
}

Shape shape_of(const json& extents) { return Shape(extents.get<std::vector<std::int64_t>>()); }

Tensor read_tensor(const fs::path& folder, const json& about, Pool& pool) {
  const Tensor tensor = Tensor::empty(pool, dtype_named(about["dtype"]), shape_of(about["shape"]));
  const std::string bytes = read_file(folder / about["file"].get<std::string>()).value();
  CHECK_EQ(bytes.size(), tensor.size_bytes());
  std::memcpy(tensor.bytes().data(), bytes.data(), bytes.size());
  if (!about.contains("order")) return tensor;
  const auto order = about["order"].get<std::vector<std::size_t>>();
  return tensor.permute(order);
}

/// Overwrites what the JSON names.
template <typename T>
void take(const json& from, const char* name, T& to) {
  if (!from.contains(name)) return;
  if constexpr (std::is_enum_v<T>) {
    to = static_cast<T>(from[name].get<int>());
  } else {
    to = from[name].get<T>();
  }
}

void take(const json& from, const char* name, DType& to) {
  if (from.contains(name)) to = dtype_named(from[name]);
}
void take(const json& from, const char* name, Shape& to) {
  if (from.contains(name)) to = shape_of(from[name]);
}

Attributes attributes_of(const json& from) {
  Attributes a;
  take(from, "product", a.product);
  take(from, "activation", a.activation);
  take(from, "keep", a.keep);
  take(from, "causal", a.causal);
  take(from, "reverse", a.reverse);
  take(from, "to", a.to);
  take(from, "axis", a.axis);
  take(from, "axes", a.axes);
  take(from, "rows", a.rows);
  take(from, "columns", a.columns);
  take(from, "first", a.first);
  take(from, "epsilon", a.epsilon);
  take(from, "scale", a.scale);
  take(from, "shift", a.shift);
  take(from, "shape", a.shape);
  take(from, "before", a.before);
  take(from, "after", a.after);
  const json window = from.value("window", json::object());
  take(window, "size", a.window.size);
  take(window, "stride", a.window.stride);
  take(window, "padding", a.window.padding);
  take(window, "dilation", a.window.dilation);
  take(window, "groups", a.window.groups);
  const json update = from.value("update", json::object());
  take(update, "lr", a.update.lr);
  take(update, "beta1", a.update.beta1);
  take(update, "beta2", a.update.beta2);
  take(update, "epsilon", a.update.epsilon);
  take(update, "weight_decay", a.update.weight_decay);
  take(update, "step", a.update.step);
  take(update, "nesterov", a.update.nesterov);
  return a;
}

/// The outputs of a case, new or written in place.
std::vector<Tensor> compute(const fs::path& folder, const json& about, Context& context) {
  const Op op = op_named(about["op"].get<std::string>()).value();
  const Attributes attributes = attributes_of(about["attributes"]);
  std::vector<Tensor> in;
  std::vector<TensorSpec> specs;
  for (const json& input : about["inputs"]) {
    in.push_back(read_tensor(folder, input, context.pool()));
    specs.push_back(in.back().spec());
  }
  std::vector<Tensor> out;
  for (const json& written : about["writes"]) {
    out.push_back(read_tensor(folder, written, context.pool()));
  }
  if (out.empty()) out.resize(infer(op, specs, attributes).value().count);
  run(context, op, in, out, attributes);
  return out;
}

/// Runs a case and writes its outputs; returns what they are.
json run_case(const fs::path& folder, const json& about, Context& context) {
  json results = json::array();
  for (const Tensor& out : compute(folder, about, context)) {
    const Tensor plain = contiguous(context, out);
    const std::string file = about["name"].get<std::string>() + "." +
                             std::string(name_of(context.device())) + "." +
                             std::to_string(results.size());
    write_raw(folder / file, plain.bytes());
    const auto extents = plain.shape().extents();
    results.push_back({{"file", file},
                       {"dtype", name_of(plain.dtype())},
                       {"shape", std::vector<std::int64_t>(extents.begin(), extents.end())}});
  }
  return results;
}

void run_all(const fs::path& folder) {
  ThreadPool cpu(2, Device::kCpu);
  ThreadPool plain(1, Device::kReference);
  json results = json::object();
  for (const json& about : json::parse(read_file(folder / "cases.json").value())) {
    for (Context* context : {static_cast<Context*>(&cpu), static_cast<Context*>(&plain)}) {
      results[about["name"].get<std::string>()][std::string(name_of(context->device()))] =
          run_case(folder, about, *context);
    }
  }
  write_raw(folder / "results.json", as_bytes(results.dump()));
}

}  // namespace
}  // namespace reef::ops

int main(int argc, char** argv) {
  if (argc != 2) {
    std::fprintf(stderr, "usage: reference_ops FOLDER\n");
    return 2;
  }
  reef::ops::run_all(argv[1]);
  return 0;
}
