#include "ops/cpu/isa/kernels.h"
#include "ops/cpu/kernels.h"
#include "ops/cpu/tiles.h"

namespace reef::ops::cpu {

void embedding(const Call& call) {
  const Index length = call.in[0].shape()[1];
  const Index vocabulary = call.in[1].shape()[0];
  const Index columns = call.in[1].shape()[1];
  const std::int32_t* tokens = call.in[0].data<std::int32_t>();
  const float* wte = call.in[1].data<float>();
  const float* wpe = call.in.size() > 2 ? call.in[2].data<float>() : nullptr;
  float* out = call.out[0].data<float>();
  for_tiles(call.context, call.in[0].elements(), kRows, [&](Index first, Index count) {
    for (Index row = first; row < first + count; ++row) {
      CHECK(tokens[row] >= 0 && tokens[row] < vocabulary) << "token " << tokens[row];
      const float* from = wte + tokens[row] * columns;
      float* to = out + row * columns;
      if (wpe == nullptr) {
        std::copy_n(from, columns, to);
      } else {
        vector_kernels().add(columns, from, wpe + row % length * columns, to);
      }
    }
  });
}

// Each task owns a range of rows of a table and meets the tokens in order, so that the sum into a
// row has one order. Reading all tokens in every task costs one comparison each.
void embedding_grad(const Call& call) {
  const Index rows = call.in[0].elements();
  const Index length = call.in[0].shape()[1];
  const Index columns = call.in[1].shape()[2];
  const std::int32_t* tokens = call.in[0].data<std::int32_t>();
  const float* grad = call.in[1].data<float>();
  float* wte = call.out[0].data<float>();
  const VectorKernels& vector = vector_kernels();
  for_tiles(call.context, call.out[0].shape()[0], kVocabularyRows, [&](Index first, Index count) {
    std::fill_n(wte + first * columns, count * columns, 0.0f);
    for (Index row = 0; row < rows; ++row) {
      if (tokens[row] < first || tokens[row] >= first + count) continue;
      float* at = wte + tokens[row] * columns;
      vector.add(columns, at, grad + row * columns, at);
    }
  });
  if (call.out.size() < 2) return;
  float* wpe = call.out[1].data<float>();
  for_tiles(call.context, call.out[1].shape()[0], kRows, [&](Index first, Index count) {
    std::fill_n(wpe + first * columns, count * columns, 0.0f);
    for (Index position = first; position < std::min(first + count, length); ++position) {
      float* at = wpe + position * columns;
      for (Index row = position; row < rows; row += length) {
        vector.add(columns, at, grad + row * columns, at);
      }
    }
  });
}

}  // namespace reef::ops::cpu
