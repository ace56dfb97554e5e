#pragma once
// The training step that benches take as their work; tests/bench/README.md has it in words.

#include <cstdint>

#include "ops/nn/spec.h"

namespace reef::app {

inline constexpr std::int64_t kBenchBatch = 8;
inline constexpr std::int64_t kBenchContext = 256;

/// GPT-2, 6 layers, 384 wide, 6 heads, one token per byte.
inline nn::GptConfig bench_gpt() {
  nn::GptConfig config;
  config.vocab_size = 256;
  config.n_positions = kBenchContext;
  config.n_embd = 384;
  config.n_layer = 6;
  config.n_head = 6;
  return config;
}

}  // namespace reef::app
