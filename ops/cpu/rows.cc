#include "ops/cpu/isa/kernels.h"
#include "ops/cpu/kernels.h"
#include "ops/cpu/tiles.h"

namespace reef::ops::cpu {

void layer_norm(const Call& call) {
  const Index columns = call.in[0].shape().back();
  const float* x = call.in[0].data<float>();
  const float* weight = call.in[1].data<float>();
  const float* bias = call.in[2].data<float>();
  float* y = call.out[0].data<float>();
  float* statistics = call.out[1].data<float>();
  for_tiles(call.context, call.in[0].shape().rows(), kRows, [&](Index first, Index count) {
    vector_kernels().layer_norm(count, columns, x + first * columns, weight, bias,
                                call.attributes.epsilon, y + first * columns,
                                statistics + 2 * first);
  });
}

void layer_norm_grad(const Call& call) {
  const Index rows = call.in[0].shape().rows();
  const Index columns = call.in[0].shape().back();
  const float* x = call.in[0].data<float>();
  const float* weight = call.in[1].data<float>();
  const float* statistics = call.in[2].data<float>();
  const float* grad = call.in[3].data<float>();
  const float* sum_grad = call.in.size() > 4 ? call.in[4].data<float>() : nullptr;
  float* out = call.out[0].data<float>();
  float* weight_grad = call.out[1].data<float>();
  float* bias_grad = call.out[2].data<float>();
  for_tiles(call.context, rows, kRows, [&](Index first, Index count) {
    vector_kernels().layer_norm_grad(count, columns, x + first * columns, weight,
                                     statistics + 2 * first, grad + first * columns,
                                     out + first * columns);
    if (sum_grad != nullptr) {
      vector_kernels().add(count * columns, out + first * columns, sum_grad + first * columns,
                           out + first * columns);
    }
  });
  for_tiles(call.context, columns, kColumns, [&](Index first, Index count) {
    vector_kernels().layer_norm_weight_grad(rows, columns, first, count, x, statistics, grad,
                                            weight_grad, bias_grad);
  });
}

void column_sum(const Call& call) {
  const Index rows = call.in[0].shape().rows();
  const Index columns = call.in[0].shape().back();
  const float* x = call.in[0].data<float>();
  float* out = call.out[0].data<float>();
  for_tiles(call.context, columns, kColumns, [&](Index first, Index count) {
    vector_kernels().column_sum(rows, columns, first, count, x, out);
  });
}

void cross_entropy(const Call& call) {
  const Index columns = call.in[0].shape().back();
  const float* logits = call.in[0].data<float>();
  const std::int32_t* targets = call.in[1].data<std::int32_t>();
  double* losses = call.out[0].data<double>();
  float* grad = call.out.size() > 1 ? call.out[1].data<float>() : nullptr;
  for_tiles(call.context, call.in[0].shape().rows(), kRows, [&](Index first, Index count) {
    for (Index row = first; row < first + count; ++row) {
      float* grad_row = grad != nullptr ? grad + row * columns : nullptr;
      if (targets[row] < 0) {
        losses[row] = 0;
        if (grad_row != nullptr) std::fill_n(grad_row, columns, 0.0f);
        continue;
      }
      CHECK_LT(targets[row], columns) << "target out of the vocabulary";
      losses[row] =
          vector_kernels().cross_entropy(columns, logits + row * columns, targets[row],
                                         static_cast<float>(call.attributes.scale), grad_row);
    }
  });
}

}  // namespace reef::ops::cpu
