#pragma once
// The kernels of the CPU backend that stand in cpu/table.cc by name; families are in served.h.

#include "ops/catalog/catalog.h"

namespace reef::ops::cpu {

void matmul(const Call& call);
/// The same for f32 as candidates, which differ in their tiles alone.
std::span<const Entry> matmul_tilings();
void batch_matmul(const Call& call);
void column_sum(const Call& call);
void linear_cross_entropy(const Call& call);
void embedding(const Call& call);
void embedding_grad(const Call& call);
void attention(const Call& call);
void attention_grad(const Call& call);
void rope(const Call& call);
void dropout(const Call& call);
void top_k(const Call& call);
void conv2d(const Call& call);
void conv2d_input_grad(const Call& call);
void conv2d_weight_grad(const Call& call);
void adafactor(const Call& call);

}  // namespace reef::ops::cpu
