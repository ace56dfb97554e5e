#pragma once
// The layers of each family as data, and the words in which they are written down. Matrices and
// activations are of `dtype`, vectors f32. Costs are of sequences of `context` tokens.

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "ops/nn/spec.h"

namespace reef::nn {

/// Precondition of both: problem_of(config) is empty.
std::vector<Layer> gpt_layers(const GptConfig& config, ops::DType dtype, std::int64_t context);
std::vector<Layer> llama_layers(const LlamaConfig& config, ops::DType dtype, std::int64_t context);

inline Parameter matrix(std::string name, std::int64_t rows, std::int64_t columns, float std,
                        ops::DType dtype, Sharing sharing) {
  return {std::move(name), {rows, columns}, Init::normal(std), true, dtype, sharing};
}
inline Parameter vector(std::string name, std::int64_t extent, Init init, Sharing sharing) {
  return {std::move(name), {extent}, init, false, ops::DType::kF32, sharing};
}

/// What the tape keeps of one token: activations in `dtype`, statistics in f32.
inline double stash_bytes(std::int64_t activations, ops::DType dtype, std::int64_t statistics) {
  return static_cast<double>(ops::size_of(dtype)) * static_cast<double>(activations) +
         4.0 * static_cast<double>(statistics);
}

}  // namespace reef::nn
