// Convolution and its gradients: cut into equal parts that oneDNN computes each on one thread.
//
// A part is one sample and, where samples are too few to feed many threads, some of the channels
// that are written. The weight's gradient is cut by channels alone: its sum over samples is not
// split between threads. There each part takes samples by the block, in order, so that what it
// packs of them is bounded.

#include <algorithm>
#include <array>

#include "ops/cpu/isa/kernels.h"
#include "ops/cpu/kernels.h"
#include "ops/cpu/onednn/convolution.h"

namespace reef::ops::cpu {

namespace {

using onednn::Convolution;
using onednn::ConvolutionKey;
using onednn::Placed;
using onednn::Written;

/// Parts that a call should have, so that many threads find work.
constexpr Index kWantedParts = 16;
/// Channels that a part should have, so that it is worth packing what it reads.
constexpr Index kLeastChannels = 32;
/// Elements of the image in a block of samples: 4 MiB.
constexpr Index kBlockImage = Index{1} << 20;

Index ceil_div(Index a, Index b) { return (a + b - 1) / b; }

/// The least divisor of `whole` that is not below `wanted`; `whole` when there is none.
Index divisor_from(Index wanted, Index whole) {
  Index divisor = std::min(std::max<Index>(1, wanted), whole);
  while (whole % divisor != 0) ++divisor;
  return divisor;
}

/// The tensors of a convolution, whole or a part.
struct Operands {
  Tensor image, weight, result, bias;
  Window window;
};

Placed placed(const Tensor& tensor) {
  Placed placed;
  for (std::size_t axis = 0; axis < 4; ++axis) {
    placed.extents[axis] = tensor.shape()[axis];
    placed.strides[axis] = tensor.stride(axis);
  }
  return placed;
}

ConvolutionKey key_of(const Operands& o, Written written) {
  return {written,         o.bias.defined(), placed(o.image),   placed(o.weight), placed(o.result),
          o.window.stride, o.window.padding, o.window.dilation, o.window.groups};
}

class Conv2d {
 public:
  Conv2d(Context& context, const Operands& whole, Written written)
      : context_(context),
        whole_(whole),
        written_(written),
        samples_(whole.image.shape()[0]),
        units_(whole.window.groups > 1 ? whole.window.groups : cut_channels()),
        part_units_(units_of_part()),
        parts_(units_ / part_units_) {}

  void run() {
    if (samples_ == 0) return;
    if (written_ == Written::kWeight) {
      context_.parallel_for(static_cast<std::size_t>(parts_),
                            [this](std::size_t part) { sum_weight(static_cast<Index>(part)); });
      return;
    }
    const auto convolution = Convolution::find(key_of(part_of(0, 1, 0), written_));
    const auto packed = packed_weights(*convolution);
    context_.parallel_for(static_cast<std::size_t>(samples_ * parts_), [&](std::size_t task) {
      const Index part = static_cast<Index>(task) % parts_;
      Operands o = part_of(static_cast<Index>(task) / parts_, 1, part);
      void* weight = o.weight.raw();
      if (packed != nullptr) weight = packed.get() + stride_of(*convolution) * part;
      compute(*convolution, o, weight);
    });
  }

 private:
  /// Channels of the tensor along which parts are cut.
  Index cut_channels() const {
    return (written_ == Written::kImage ? whole_.image : whole_.result).shape()[1];
  }

  Index units_of_part() const {
    const Index together = written_ == Written::kWeight ? 1 : std::max<Index>(1, samples_);
    const Index fewest = ceil_div(kLeastChannels, cut_channels() / units_);
    return divisor_from(std::max(fewest, ceil_div(units_, ceil_div(kWantedParts, together))),
                        units_);
  }

  Operands part_of(Index sample, Index samples, Index part) const {
    Operands o = whole_;
    o.image = o.image.narrow(0, sample, samples);
    o.result = o.result.narrow(0, sample, samples);
    const auto narrow = [this, part](Tensor& tensor, std::size_t axis) {
      const Index channels = tensor.shape()[axis] / parts_;
      tensor = tensor.narrow(axis, part * channels, channels);
    };
    const bool is_grouped = o.window.groups > 1;
    if (is_grouped) o.window.groups = part_units_;
    if (is_grouped || written_ == Written::kImage) narrow(o.image, 1);
    if (!is_grouped && written_ == Written::kImage) {
      narrow(o.weight, 1);
      return o;
    }
    narrow(o.weight, 0);
    narrow(o.result, 1);
    if (o.bias.defined()) narrow(o.bias, 0);
    return o;
  }

  static Index stride_of(const Convolution& convolution) {
    constexpr auto kUnit = static_cast<Index>(Pool::kAlignment);
    return ceil_div(static_cast<Index>(convolution.packed_weight_bytes()), kUnit) * kUnit;
  }

  /// The weights of all parts, packed once since samples share them; null where they serve as they
  /// are.
  std::shared_ptr<std::byte> packed_weights(const Convolution& convolution) const {
    const Index stride = stride_of(convolution);
    if (stride == 0) return nullptr;
    auto packed = context_.pool().allocate(static_cast<std::size_t>(stride * parts_));
    context_.parallel_for(static_cast<std::size_t>(parts_), [&](std::size_t task) {
      const auto part = static_cast<Index>(task);
      convolution.pack_weight(part_of(0, 1, part).weight.raw(), packed.get() + stride * part);
    });
    return packed;
  }

  void compute(const Convolution& convolution, const Operands& part, void* weight) const {
    const auto scratch = context_.pool().allocate(convolution.scratch_bytes());
    convolution.run({.image = part.image.raw(),
                     .weight = weight,
                     .result = part.result.raw(),
                     .bias = part.bias.defined() ? part.bias.raw() : nullptr},
                    scratch.get());
  }

  /// One block of samples after the other. Parts of a weight are cut along its outermost axis, so
  /// its elements are added as they lie.
  void sum_weight(Index part) const {
    const Index sample_elements = part_of(0, 1, part).image.elements();
    const Index block = std::max<Index>(1, kBlockImage / sample_elements);
    std::shared_ptr<std::byte> more;
    for (Index sample = 0; sample < samples_; sample += block) {
      const Operands o = part_of(sample, std::min(block, samples_ - sample), part);
      const auto convolution = Convolution::find(key_of(o, written_));
      float* sums = o.weight.data<float>();
      if (sample == 0) {
        compute(*convolution, o, sums);
        continue;
      }
      if (more == nullptr) more = context_.pool().allocate(o.weight.size_bytes());
      compute(*convolution, o, more.get());
      vector_kernels().add_to(Element::kF32, o.weight.elements(), more.get(), sums);
    }
  }

  Context& context_;
  const Operands& whole_;
  const Written written_;
  const Index samples_;
  const Index units_;       ///< groups, or channels of the only group
  const Index part_units_;  ///< of a part
  const Index parts_;       ///< of a sample
};

void copy(const Call& call, const Tensor& from, const Tensor& to) {
  Attributes attributes;
  attributes.to = from.dtype();
  std::array<Tensor, 1> out{to};
  ops::run(call.context, Op::kCopy, std::array{from}, out, attributes);
}

/// oneDNN takes strides, but not those that repeat an element.
Tensor readable(const Call& call, const Tensor& tensor) {
  if (tensor.layout() != Layout::kStrided) return tensor;
  const Tensor plain = Tensor::empty(call.context.pool(), tensor.dtype(), tensor.shape());
  copy(call, tensor, plain);
  return plain;
}

}  // namespace

void conv2d(const Call& call) {
  const Operands operands{readable(call, call.in[0]), readable(call, call.in[1]), call.out[0],
                          call.in.size() > 2 ? readable(call, call.in[2]) : Tensor(),
                          call.attributes.window};
  Conv2d(call.context, operands, Written::kResult).run();
}

void conv2d_input_grad(const Call& call) {
  const Operands operands{call.out[0],
                          readable(call, call.in[0]),
                          readable(call, call.in[1]),
                          {},
                          call.attributes.window};
  Conv2d(call.context, operands, Written::kImage).run();
}

void conv2d_weight_grad(const Call& call) {
  const Tensor& grad = call.out[0];
  const bool is_whole = grad.layout() != Layout::kStrided;
  Tensor sums = is_whole ? grad : Tensor::empty(call.context.pool(), DType::kF32, grad.shape());
  if (call.in[0].elements() == 0) std::fill_n(sums.data<float>(), sums.elements(), 0.0f);
  const Operands operands{
      readable(call, call.in[0]), sums, readable(call, call.in[1]), {}, call.attributes.window};
  Conv2d(call.context, operands, Written::kWeight).run();
  if (!is_whole) copy(call, sums, grad);
}

}  // namespace reef::ops::cpu
