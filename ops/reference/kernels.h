#pragma once
// Plain loops, written for reading: what every other backend is compared with.

#include "ops/catalog/catalog.h"

namespace reef::ops::reference {

void matmul(const Call& call);
void column_sum(const Call& call);
void embedding(const Call& call);
void embedding_grad(const Call& call);
void layer_norm(const Call& call);
void layer_norm_grad(const Call& call);
void gelu(const Call& call);
void gelu_grad(const Call& call);
void attention(const Call& call);
void attention_grad(const Call& call);
void add(const Call& call);
void fill(const Call& call);
void concat(const Call& call);
void pad(const Call& call);
/// Serves kCrossEntropy and, with a second output, kCrossEntropyGrad.
void cross_entropy(const Call& call);
void dropout(const Call& call);
/// Serves kCopy and kCast.
void cast(const Call& call);
void square_sum(const Call& call);
void adamw(const Call& call);

}  // namespace reef::ops::reference
