#pragma once
// What one of the tensor-parallel ranks that share each layer holds of a model. Layers declare how
// their parameters may be shared (Sharing, spec.h); this applies it. Pure.

#include <algorithm>
#include <cstdint>
#include <string>

#include "ops/nn/spec.h"

namespace reef::nn {

/// The parameters, shapes and costs of a rank. `whole` is a spec of one rank. Heads, inner channels
/// and the vocabulary are dealt out in ranges that differ by at most one. Precondition:
/// problem_of(whole.config, ranks) is empty.
ModelSpec spec_of_rank(const ModelSpec& whole, TensorRank tensor);

/// The reason why so many ranks cannot share the layers, in one sentence; empty when they can.
std::string problem_of(const ModelConfig& config, std::uint32_t ranks);

/// Whether all of several ranks have this parameter.
bool is_copied(const Parameter& parameter, TensorRank tensor);
/// Whether a rank speaks for this parameter of its spec, in norms and checkpoints: copies are
/// alike, and the first rank's is the one that counts.
bool speaks_for(const Parameter& parameter, TensorRank tensor);

/// Of an attention layer, those that a rank has.
struct Heads {
  std::int64_t queries = 0;
  std::int64_t keys = 0;  ///< and as many of values
  std::int64_t size = 0;  ///< channels of one
};
Heads heads_of(const ModelSpec& spec);

/// The columns of the logits that a rank makes: its rows of the head's table.
Part::Range columns_of(const ModelSpec& spec);

/// The published shape.
const std::vector<std::int64_t>& whole_shape(const Parameter& parameter);
std::int64_t whole_elements(const Parameter& parameter);

/// Elements [first, first + count) of what is held, as runs of the published tensor's elements:
/// visit(place behind `first`, first element in the published tensor, elements).
template <typename Visit>
void for_each_run(const Parameter& parameter, std::int64_t first, std::int64_t count,
                  Visit&& visit) {
  if (!parameter.part) {
    visit(std::int64_t{0}, first, count);
    return;
  }
  const Part& part = *parameter.part;
  std::int64_t inner = 1;
  for (std::size_t i = part.axis + 1; i < part.whole.size(); ++i) inner *= part.whole[i];
  const std::int64_t whole_row = part.whole[part.axis] * inner;
  const std::int64_t row = parameter.shape[part.axis] * inner;
  std::int64_t at = first / row * row;  // what is held, row by row, and of a row range by range
  for (std::int64_t r = first / row; at < first + count; ++r) {
    for (const Part::Range& range : part.ranges) {
      const std::int64_t length = range.count * inner;
      const std::int64_t from = std::max(at, first);
      const std::int64_t to = std::min(at + length, first + count);
      if (from < to)
        visit(from - first, r * whole_row + range.first * inner + (from - at), to - from);
      at += length;
    }
  }
}

}  // namespace reef::nn
