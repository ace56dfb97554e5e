// Jacobians, tangents and Hessians of a few small models in f64 on the plain kernels, for
// transforms_compare.py to hold against PyTorch.
//
// usage: reference_transforms FOLDER
// For each model NAME and its input I: NAME.input.I, NAME.tangent.I and NAME.jacobian.I (elements
// of the outputs by elements of the input); NAME.outputs, NAME.jvp; NAME.loss and NAME.hessian, of
// the loss, over all inputs joined. Raw f64; shapes are in FOLDER/models.json.

#include <filesystem>
#include <fstream>
#include <iostream>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "ops/autograd/functions.h"
#include "ops/autograd/transforms.h"
#include "ops/cpu/thread_pool.h"
#include "ops/functional/functional.h"
#include "runtime/base/file.h"
#include "runtime/base/random.h"

namespace reef::ops {
namespace {

namespace fs = std::filesystem;
using Inputs = std::span<const Variable>;

constexpr float kEpsilon = 0x1p-10f;  // has the same value in f64
constexpr std::int32_t kTargets[] = {1, -1, 3};

struct Model {
  std::string name;
  std::vector<Shape> inputs;
  Function outputs;
  /// Of the outputs.
  std::function<Variable(Context&, Tape&, const Variable&)> loss;
};

Variable half_square(Context& context, Tape& tape, const Variable& y) {
  const Variable sum = sum_to(context, tape, square(context, tape, y), Shape{});
  return affine(context, tape, sum, 0.5);
}

Variable classified(Context& context, Tape& tape, const Variable& y) {
  const Tensor targets = Tensor::from<std::int32_t>(Pool::host(), {3}, kTargets);
  return cross_entropy(context, tape, y, targets, 0.5f);
}

/// gelu(x w1 + b1) w2 + b2, inputs in this order.
Variable perceptron(Context& context, Tape& tape, Inputs in) {
  const Variable inner = linear_activation(context, tape, in[0], in[1], in[2], Activation::kGelu);
  return linear(context, tape, inner, in[3], in[4]);
}

/// Half a block of GPT-2 and a head: x, norm's weight and bias, c_attn, c_proj, table.
Variable gpt_attention(Context& context, Tape& tape, Inputs in) {
  const Variable x = in[0];
  const Variable n = layer_norm(context, tape, x, in[1], in[2], kEpsilon);
  const Variable a = attention(context, tape, linear(context, tape, n, in[3], {}), 2, Draw{});
  const Variable y = add(context, tape, x, linear(context, tape, a, in[4], {}));
  return project(context, tape, y, in[5]);
}

/// (1, T, C) -> (1, T, H, 2).
Variable in_heads(Context& context, Tape& tape, const Variable& x) {
  const Shape& shape = x.value.shape();
  return reshape(context, tape, x, {shape[0], shape[1], shape[2] / 2, 2});
}

/// A small block of Llama: x, norm, q, k, v (one group), gate, up, down.
Variable llama_block(Context& context, Tape& tape, Inputs in) {
  const auto times = [&](const Variable& a, std::size_t weight) {
    return linear(context, tape, a, in[weight], {});
  };
  const Variable n = rms_norm(context, tape, in[0], in[1], kEpsilon);
  const Variable q = rope(context, tape, in_heads(context, tape, times(n, 2)), 100);
  const Variable k = rope(context, tape, in_heads(context, tape, times(n, 3)), 100);
  const Variable v = in_heads(context, tape, times(n, 4));
  const Variable mixed = attention(context, tape, q, k, v, {});
  const Variable x = add(context, tape, in[0], reshape(context, tape, mixed, in[0].value.shape()));
  return add(context, tape, x, times(swiglu(context, tape, times(x, 5), times(x, 6)), 7));
}

std::vector<Model> models() {
  return {
      {"perceptron", {{4, 3}, {3, 5}, {5}, {5, 2}, {2}}, perceptron, half_square},
      {"gpt_attention", {{1, 3, 4}, {4}, {4}, {4, 12}, {4, 4}, {5, 4}}, gpt_attention, classified},
      {"llama_block",
       {{1, 3, 4}, {4}, {4, 4}, {4, 2}, {4, 2}, {4, 3}, {4, 3}, {3, 4}},
       llama_block,
       half_square},
  };
}

Tensor drawn(const Shape& shape, const std::string& name) {
  const Random random(11, name);
  const Tensor tensor = Tensor::empty(Pool::host(), DType::kF64, shape);
  std::uint64_t i = 0;
  for (double& value : tensor.values<double>()) value = 0.7 * random.normal(0, i++);
  return tensor;
}

void write(const fs::path& path, const Tensor& tensor) {
  const Status written = write_file(path, tensor.bytes());
  CHECK(written.ok()) << written.error().text();
}

nlohmann::json record(Context& context, const Model& model, const fs::path& folder) {
  std::vector<Tensor> inputs;
  std::vector<Tensor> tangents;
  nlohmann::json shapes;
  for (std::size_t i = 0; i < model.inputs.size(); ++i) {
    const std::string place = std::to_string(i);
    inputs.push_back(drawn(model.inputs[i], model.name + ".input." + place));
    tangents.push_back(drawn(model.inputs[i], model.name + ".tangent." + place));
    write(folder / (model.name + ".input." + place), inputs.back());
    write(folder / (model.name + ".tangent." + place), tangents.back());
    const auto extents = model.inputs[i].extents();
    shapes.push_back(std::vector<std::int64_t>(extents.begin(), extents.end()));
  }
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    write(folder / (model.name + ".jacobian." + std::to_string(i)),
          jacobian(context, model.outputs, inputs, i));
  }
  const ValueAndTangent along = jvp(context, model.outputs, inputs, tangents);
  write(folder / (model.name + ".outputs"), contiguous(context, along.value));
  write(folder / (model.name + ".jvp"), contiguous(context, along.tangent));
  const Function loss = [&model](Context& context, Tape& tape, Inputs in) {
    return model.loss(context, tape, model.outputs(context, tape, in));
  };
  Hessian hessian(context, loss, inputs);
  write(folder / (model.name + ".loss"), hessian.value());
  write(folder / (model.name + ".hessian"), hessian.matrix());
  return {{"name", model.name}, {"inputs", shapes}};
}

}  // namespace

int run_all(const fs::path& folder) {
  ThreadPool context(1, Device::kReference);
  nlohmann::json about;
  for (const Model& model : models()) about.push_back(record(context, model, folder));
  std::ofstream(folder / "models.json") << about.dump(1) << '\n';
  return 0;
}

}  // namespace reef::ops

int main(int argc, char** argv) {
  if (argc == 2 && argv[1][0] != '-') return reef::ops::run_all(argv[1]);
  std::cerr << "usage: reference_transforms FOLDER\n";
  return 2;
}
