// Norms of rows. A row is one task's; a column of a weight's gradient, too.

#include "ops/cpu/isa/norm.h"

#include "ops/cpu/layout.h"
#include "ops/cpu/served.h"
#include "ops/cpu/tiles.h"

namespace reef::ops::cpu {

namespace {

void set_rows(NormRows& op, NormKind kind, const Tensor& x, const Tensor& weight) {
  op.kind = kind;
  op.element = element_of(x.dtype());
  op.weight_element = element_of(weight.dtype());
  op.columns = x.shape().back();
  op.x = x.raw();
  op.weight = weight.raw();
}

void normalise(const Call& call, const Norm& op) {
  for_tiles(call.context, call.in[0].shape().rows(), rows_a_tile(op.columns),
            [&op](Index first, Index count) { norm_kernels().norm(op, first, count); });
}

void layer_norm(const Call& call) {
  Norm op;
  set_rows(op, NormKind::kLayer, call.in[0], call.in[1]);
  op.epsilon = call.attributes.epsilon;
  op.bias = call.in[2].raw();
  op.y = call.out[0].raw();
  op.statistics = call.out[1].data<float>();
  normalise(call, op);
}

void add_layer_norm(const Call& call) {
  Norm op;
  set_rows(op, NormKind::kLayer, call.in[0], call.in[2]);
  op.epsilon = call.attributes.epsilon;
  op.addend = call.in[1].raw();
  op.bias = call.in[3].raw();
  op.y = call.out[0].raw();
  op.sum = call.out[1].raw();
  op.statistics = call.out[2].data<float>();
  normalise(call, op);
}

void rms_norm(const Call& call) {
  Norm op;
  set_rows(op, NormKind::kRootMeanSquare, call.in[0], call.in[1]);
  op.epsilon = call.attributes.epsilon;
  op.y = call.out[0].raw();
  op.statistics = call.out[1].data<float>();
  normalise(call, op);
}

/// x, weight, statistics, grad and perhaps what came past the norm -> x, weight and perhaps bias.
template <NormKind kind>
void norm_grad(const Call& call) {
  NormGrad op;
  set_rows(op, kind, call.in[0], call.in[1]);
  op.rows = call.in[0].shape().rows();
  op.statistics = call.in[2].data<float>();
  op.grad = call.in[3].raw();
  if (call.in.size() > 4) op.past = call.in[4].raw();
  op.x_grad = call.out[0].raw();
  op.weight_grad = call.out[1].raw();
  if (call.out.size() > 2) op.bias_grad = call.out[2].raw();
  for_tiles(call.context, op.rows, rows_a_tile(op.columns),
            [&op](Index first, Index count) { norm_kernels().x_grad(op, first, count); });
  for_tiles(call.context, op.columns, kColumns,
            [&op](Index first, Index count) { norm_kernels().weight_grad(op, first, count); });
}

constexpr Layout kPlain = Layout::kRowMajor;

constexpr Served kServed[] = {
    {Op::kLayerNorm, layer_norm, kPlain, kTrained},
    {Op::kLayerNormGrad, norm_grad<NormKind::kLayer>, kPlain, kTrained},
    {Op::kAddLayerNorm, add_layer_norm, kPlain, kTrained},
    {Op::kRmsNorm, rms_norm, kPlain, kTrained},
    {Op::kRmsNormGrad, norm_grad<NormKind::kRootMeanSquare>, kPlain, kTrained},
};

}  // namespace

std::span<const Served> norm_kernels_served() { return kServed; }

}  // namespace reef::ops::cpu
