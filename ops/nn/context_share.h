#pragma once
// Context parallelism as data: which positions of every sequence a rank holds when several share
// the sequences of a micro-batch, because one device cannot keep so long a context. For planners
// too; the computation is in ring_attention.h (Liu et al. 2023, "Ring Attention",
// arXiv 2310.01889).

#include <cstdint>
#include <string>
#include <vector>

#include "ops/nn/config.h"
#include "ops/tensor/run.h"

namespace reef::nn {

/// A sequence is cut into 2 `ranks` equal chunks; `rank` holds chunk `rank` and the one as far from
/// the end. Later queries see more keys, so that contiguous parts would leave the first rank idle;
/// these see equally many (Brandon et al. 2023, "Striped Attention", arXiv 2311.09431, cut finer).
/// With one rank: the whole, in one piece, of any length.
///
/// The ranks form a ring. In step 0 a rank meets its own keys and values, in step i those of the
/// rank i before it; between two steps everyone's go one rank on.
struct ContextShare {
  std::int64_t ranks = 1;
  std::int64_t rank = 0;

  bool is_whole() const { return ranks == 1; }
  /// The positions it holds of a sequence of `tokens`, in order: one run or two. Precondition:
  /// problem_of_context() has nothing against `tokens`.
  std::vector<ops::Run> runs(std::int64_t tokens) const;
  /// Whose keys and values it meets in `step`, 0 <= step < ranks.
  std::int64_t met_in(std::int64_t step) const { return (rank - step + ranks) % ranks; }
  bool operator==(const ContextShare&) const = default;
};

/// The reason why `ranks` cannot share sequences of `tokens` of this model, with the remedy, in one
/// sentence; empty when they can.
std::string problem_of_context(const ModelConfig& config, std::int64_t ranks, std::int64_t tokens);

}  // namespace reef::nn
