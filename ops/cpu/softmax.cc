// Softmax over rows, and cross-entropy, which is made of it. A row is one task's.

#include "ops/cpu/isa/softmax.h"

#include <vector>

#include "ops/cpu/cross_entropy.h"
#include "ops/cpu/layout.h"
#include "ops/cpu/served.h"
#include "ops/cpu/tiles.h"

namespace reef::ops::cpu {

namespace {

/// What the kernels use of a thread; keeps its room.
float* room_for(Index columns) {
  thread_local std::vector<float> room;
  if (room.size() < static_cast<std::size_t>(columns)) {
    room.resize(static_cast<std::size_t>(columns));
  }
  return room.data();
}

/// Serves the forward ops and, with a second input, their gradients.
template <auto kernel>
void rows(const Call& call) {
  const Tensor& x = call.in[0];
  SoftmaxRows op;
  op.element = element_of(x.dtype());
  op.columns = x.shape().back();
  op.x = x.raw();
  if (call.in.size() > 1) op.grad = call.in[1].raw();
  op.out = call.out[0].raw();
  for_tiles(call.context, x.shape().rows(), rows_a_tile(op.columns),
            [op](Index first, Index count) {
              SoftmaxRows own = op;
              own.room = room_for(op.columns);
              (softmax_kernels().*kernel)(own, first, count);
            });
}

/// Serves kCrossEntropy and, with a second output, kCrossEntropyGrad.
void cross_entropy(const Call& call) {
  const Tensor& logits = call.in[0];
  const Index columns = logits.shape().back();
  const Index row_bytes = columns * static_cast<Index>(size_of(logits.dtype()));
  const std::int32_t* targets = call.in[1].data<std::int32_t>();
  double* losses = call.out[0].data<double>();
  std::byte* grads = call.out.size() > 1 ? call.out[1].raw() : nullptr;
  const auto row_loss = [&](Index row) {
    return cross_entropy_of({.element = element_of(logits.dtype()),
                             .columns = columns,
                             .logits = logits.raw() + row * row_bytes,
                             .target = targets[row],
                             .scale = static_cast<float>(call.attributes.scale),
                             .grad = grads != nullptr ? grads + row * row_bytes : nullptr,
                             .room = room_for(columns)});
  };
  for_tiles(call.context, logits.shape().rows(), rows_a_tile(columns),
            [&](Index first, Index count) {
              for (Index row = first; row < first + count; ++row) losses[row] = row_loss(row);
            });
}

constexpr Layout kPlain = Layout::kRowMajor;

constexpr Served kServed[] = {
    {Op::kSoftmax, rows<&SoftmaxKernels::softmax>, kPlain, kTrained},
    {Op::kSoftmaxGrad, rows<&SoftmaxKernels::softmax_grad>, kPlain, kTrained},
    {Op::kLogSoftmax, rows<&SoftmaxKernels::log_softmax>, kPlain, kTrained},
    {Op::kLogSoftmaxGrad, rows<&SoftmaxKernels::log_softmax_grad>, kPlain, kTrained},
    {Op::kCrossEntropy, cross_entropy, kPlain, kTrained},
    {Op::kCrossEntropyGrad, cross_entropy, kPlain, kTrained},
};

}  // namespace

std::span<const Served> softmax_kernels_served() { return kServed; }

}  // namespace reef::ops::cpu
