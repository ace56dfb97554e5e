// Convolution and its gradients: cut into parts that oneDNN computes each on one thread.
//
// A part is one sample, or all of them for the weight's gradient, whose sum over samples is never
// split; where samples are few, it is also only some of the channels that are written.

#include <algorithm>
#include <array>

#include "ops/cpu/kernels.h"
#include "ops/cpu/onednn/convolution.h"

namespace reef::ops::cpu {

namespace {

using onednn::Convolution;
using onednn::ConvolutionKey;
using onednn::ConvolutionMemory;
using onednn::Placed;
using onednn::Written;
using Index = std::int64_t;

/// Parts that a call should have, so that many threads find work.
constexpr Index kWantedParts = 16;
/// Channels that a part should have, so that it is worth packing what it reads.
constexpr Index kLeastChannels = 32;
/// Of which channels of a part are a multiple: the lanes of oneDNN's kernels.
constexpr Index kChannelUnit = 16;

Index ceil_div(Index a, Index b) { return (a + b - 1) / b; }

/// The three tensors of a convolution, whole or a part.
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
      : context_(context), whole_(whole), written_(written) {
    const Index groups = whole.window.groups;
    const Index channels =
        (written == Written::kImage ? whole.image : whole.result).shape()[1];  // that are cut
    samples_ = written == Written::kWeight ? 1 : whole.image.shape()[0];
    units_ = groups > 1 ? groups : channels;
    const Index unit = channels / units_;
    const Index wanted = ceil_div(kWantedParts, std::max<Index>(1, samples_));
    const Index least = std::max(kLeastChannels, ceil_div(channels, wanted));
    const Index step = std::max<Index>(1, kChannelUnit / unit);
    part_units_ = std::min(units_, ceil_div(ceil_div(least, unit), step) * step);
    parts_ = ceil_div(units_, part_units_);
  }

  void run() {
    pack_weights();
    context_.parallel_for(static_cast<std::size_t>(samples_ * parts_), [&](std::size_t task) {
      compute(static_cast<Index>(task) / parts_, static_cast<Index>(task) % parts_);
    });
  }

 private:
  /// Of one sample, or of all for the weight's gradient.
  Operands part_of(Index sample, Index part) const {
    Operands o = whole_;
    if (written_ != Written::kWeight) {
      o.image = o.image.narrow(0, sample, 1);
      o.result = o.result.narrow(0, sample, 1);
    }
    const Index first = part * part_units_;
    const Index count = std::min(part_units_, units_ - first);
    const auto narrow = [&](Tensor& tensor, std::size_t axis) {
      const Index unit = tensor.shape()[axis] / units_;
      tensor = tensor.narrow(axis, first * unit, count * unit);
    };
    const bool is_grouped = o.window.groups > 1;
    if (is_grouped) o.window.groups = count;
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

  std::byte* packed_weight(Index part) const {
    return packed_.get() + static_cast<std::size_t>(part) * packed_stride_;
  }

  /// Once, since all samples share them.
  void pack_weights() {
    if (samples_ == 0) return;
    for (const Index part : {Index{0}, parts_ - 1}) {
      const auto convolution = Convolution::find(key_of(part_of(0, part), written_));
      packed_stride_ = std::max(packed_stride_, convolution->packed_weight_bytes());
    }
    if (packed_stride_ == 0) return;
    packed_stride_ = (packed_stride_ + Pool::kAlignment - 1) / Pool::kAlignment * Pool::kAlignment;
    packed_ = context_.pool().allocate(packed_stride_ * static_cast<std::size_t>(parts_));
    context_.parallel_for(static_cast<std::size_t>(parts_), [&](std::size_t task) {
      const auto part = static_cast<Index>(task);
      const Operands o = part_of(0, part);
      const auto convolution = Convolution::find(key_of(o, written_));
      if (convolution->packed_weight_bytes() == 0) return;
      convolution->pack_weight(o.weight.raw(), packed_weight(part));
    });
  }

  void compute(Index sample, Index part) const {
    const Operands o = part_of(sample, part);
    const auto convolution = Convolution::find(key_of(o, written_));
    const bool is_packed = convolution->packed_weight_bytes() > 0;
    const auto scratch = context_.pool().allocate(convolution->scratch_bytes());
    convolution->run({.image = o.image.raw(),
                      .weight = is_packed ? packed_weight(part) : o.weight.raw(),
                      .result = o.result.raw(),
                      .bias = o.bias.defined() ? o.bias.raw() : nullptr},
                     scratch.get());
  }

  Context& context_;
  const Operands& whole_;
  const Written written_;
  Index samples_;                      ///< that are computed apart
  Index units_;                        ///< groups, or channels of the only group
  Index part_units_;                   ///< of a part, at most
  Index parts_;                        ///< of a sample
  std::shared_ptr<std::byte> packed_;  ///< the weights of all parts
  std::size_t packed_stride_ = 0;
};

/// oneDNN takes strides, but not those that repeat an element.
Tensor readable(const Call& call, const Tensor& tensor) {
  if (tensor.layout() != Layout::kStrided) return tensor;
  Attributes attributes;
  attributes.to = tensor.dtype();
  std::array<Tensor, 1> copy;
  ops::run(call.context, Op::kCopy, std::array{tensor}, copy, attributes);
  return copy[0];
}

void fill_with_zeros(const Call& call, const Tensor& tensor) {
  Attributes attributes;
  attributes.to = tensor.dtype();
  attributes.shape = tensor.shape();
  std::array<Tensor, 1> out{tensor};
  ops::run(call.context, Op::kFill, {}, out, attributes);
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
  if (call.in[0].elements() == 0) return fill_with_zeros(call, call.out[0]);
  const Operands operands{readable(call, call.in[0]),
                          call.out[0],
                          readable(call, call.in[1]),
                          {},
                          call.attributes.window};
  Conv2d(call.context, operands, Written::kWeight).run();
}

}  // namespace reef::ops::cpu
