// The few kernels of the device "apart", and its table. All else goes through the host.

#include "ops/plugin/plugin.h"

#include <algorithm>
#include <cmath>

#include "tests/plugin/device.h"

namespace reef::apart {

namespace {

using namespace ops;  // a plug-in is made of little else

/// A tensor as the worker sees it. It holds no handle: memory is reused in the order of launches.
template <typename T>
struct View {
  explicit View(const Tensor& tensor)
      : data(reinterpret_cast<T*>(tensor.raw() + Space::kDistance)),
        shape(tensor.shape()),
        strides(tensor.strides()) {}
  /// The element with the index-th place in row-major order.
  T& operator[](std::int64_t index) const {
    std::int64_t offset = 0;
    for (std::size_t axis = shape.rank(); axis-- > 0; index /= shape[axis]) {
      offset += index % shape[axis] * strides[axis];
    }
    return data[offset];
  }
  T* data;
  Shape shape;
  Strides strides;
};

void launch(const Call& call, Apart::Work work) {
  static_cast<Apart&>(call.context).launch(std::move(work));
}

float gelu_of(float x) {
  return 0.5f * x * (1 + std::tanh(0.7978845608f * (x + 0.044715f * x * x * x)));
}

float activate(Activation activation, float x) {
  switch (activation) {
    case Activation::kNone:
      return x;
    case Activation::kGelu:
      return gelu_of(x);
    case Activation::kSilu:
      return x / (1 + std::exp(-x));
    case Activation::kRelu:
      return std::max(x, 0.0f);
  }
  return x;
}

/// Row-major, all inputs that the op may have.
void matmul(const Call& call) {
  struct Operand {
    const float* data;
    std::int64_t row, column;  // steps
  };
  const auto data = [](std::span<const Tensor> tensors, std::size_t i) {
    return i < tensors.size() ? View<float>(tensors[i]).data : nullptr;
  };
  const bool a_turned = call.attributes.product == Product::kTN;
  const bool b_turned = call.attributes.product == Product::kNT;
  const std::int64_t lda = call.in[0].shape().back(), ldb = call.in[1].shape().back();
  const std::int64_t inner = a_turned ? call.in[0].shape().rows() : lda;
  const std::int64_t rows = call.out[0].shape().rows(), columns = call.out[0].shape().back();
  const Operand a{data(call.in, 0), a_turned ? 1 : lda, a_turned ? lda : 1};
  const Operand b{data(call.in, 1), b_turned ? 1 : ldb, b_turned ? ldb : 1};
  const float *bias = data(call.in, 2), *residual = data(call.in, 3);
  float *out = data(call.out, 0), *before = data(call.out, 1);
  launch(call, [=, activation = call.attributes.activation] {
    for (std::int64_t i = 0; i < rows * columns; ++i) {
      const std::int64_t row = i / columns, column = i % columns;
      double sum = bias != nullptr ? bias[column] : 0;
      for (std::int64_t k = 0; k < inner; ++k) {
        sum += double{a.data[row * a.row + k * a.column]} * b.data[k * b.row + column * b.column];
      }
      if (before != nullptr) before[i] = static_cast<float>(sum);
      out[i] = activate(activation, static_cast<float>(sum)) + (residual ? residual[i] : 0);
    }
  });
}

void add(const Call& call) {
  const View<float> out(call.out[0]);
  const View<float> a(call.in[0].expand(out.shape)), b(call.in[1].expand(out.shape));
  launch(call, [=] {
    for (std::int64_t i = 0; i < out.shape.elements(); ++i) out[i] = a[i] + b[i];
  });
}

void gelu(const Call& call) {
  const View<float> x(call.in[0]), out(call.out[0]);
  launch(call, [=] { std::transform(x.data, x.data + x.shape.elements(), out.data, gelu_of); });
}

template <typename T>
void copy(const Call& call) {
  const View<T> x(call.in[0]), out(call.out[0]);
  launch(call, [=] {
    for (std::int64_t i = 0; i < out.shape.elements(); ++i) out[i] = x[i];
  });
}

void fill(const Call& call) {
  const View<float> out(call.out[0]);
  launch(call, [out, value = static_cast<float>(call.attributes.shift)] {
    std::fill_n(out.data, out.shape.elements(), value);
  });
}

std::span<const Entry> kernels(Device device) {
  static const Entry entries[] = {
      {{Op::kMatmul, device, DType::kF32, Layout::kRowMajor}, matmul},
      {{Op::kAdd, device, DType::kF32, Layout::kStrided}, add},
      {{Op::kGelu, device, DType::kF32, Layout::kRowMajor}, gelu},
      {{Op::kCopy, device, DType::kF32, Layout::kStrided}, copy<float>},
      {{Op::kCopy, device, DType::kI32, Layout::kStrided}, copy<std::int32_t>},
      {{Op::kFill, device, DType::kF32, Layout::kRowMajor}, fill},
  };
  return entries;
}

int count(const char**) { return 1; }
Context* open(Device device, int, const char**) { return new Apart(device); }
void close(Context* context) { delete context; }

constexpr Plugin kPlugin{kPluginAbi, "apart", count, kernels, open, close, nullptr};

}  // namespace

}  // namespace reef::apart

const reef::ops::Plugin* atoll_plugin() { return &reef::apart::kPlugin; }
