#pragma once
// All ranks of a ring in one process.

#include <vector>

#include "ops/functional/functional.h"
#include "ops/nn/ring_attention.h"
#include "tests/unit/ops/support.h"

namespace reef::nn::testing {

inline std::vector<ContextShare> shares_of(std::int64_t ranks) {
  std::vector<ContextShare> shares;
  for (std::int64_t rank = 0; rank < ranks; ++rank) shares.push_back({ranks, rank});
  return shares;
}

inline std::vector<ops::Tensor> shared_out(ops::Context& context, const ops::Tensor& whole,
                                           std::int64_t ranks) {
  std::vector<ops::Tensor> parts;
  for (const ContextShare& share : shares_of(ranks)) {
    parts.push_back(part_of(context, share, whole));
  }
  return parts;
}

/// The reverse of shared_out(), along `axis`.
inline ops::Tensor joined(ops::Context& context, const std::vector<ops::Tensor>& parts,
                          std::size_t axis = 1) {
  const auto ranks = static_cast<std::int64_t>(parts.size());
  const std::int64_t tokens = ranks * parts[0].shape()[axis];
  const ops::Tensor whole =
      ops::Tensor::empty(ops::Pool::host(), parts[0].dtype(), parts[0].shape().with(axis, tokens));
  for (const ContextShare& share : shares_of(ranks)) {
    std::int64_t first = 0;
    for (const ops::Run& run : share.runs(tokens)) {
      ops::copy_into(context,
                     parts[static_cast<std::size_t>(share.rank)].narrow(axis, first, run.count),
                     whole.narrow(axis, run.first, run.count));
      first += run.count;
    }
  }
  return whole;
}

inline std::size_t index(std::int64_t rank) { return static_cast<std::size_t>(rank); }

/// q (B, L, H, D), keys_values (B, L, 2 G, D) of each rank.
inline std::vector<ops::Attention> ring_forward(ops::Context& context,
                                                const std::vector<ops::Tensor>& q,
                                                const std::vector<ops::Tensor>& keys_values) {
  std::vector<ops::Attention> results;
  for (const ContextShare& share : shares_of(static_cast<std::int64_t>(q.size()))) {
    RingAttention ring(share, q[index(share.rank)]);
    for (std::int64_t step = 0; step < share.ranks; ++step) {
      ring.meet(context, keys_values[index(share.met_in(step))]);
    }
    results.push_back(ring.finish(context));
  }
  return results;
}

/// Step by step, since sums come from the rank before.
inline std::vector<ops::Tensor> ring_backward(ops::Context& context,
                                              const std::vector<ops::Tensor>& q,
                                              const std::vector<ops::Tensor>& keys_values,
                                              const std::vector<ops::Attention>& forward,
                                              const std::vector<ops::Tensor>& grads) {
  const std::vector<ContextShare> shares = shares_of(static_cast<std::int64_t>(q.size()));
  std::vector<RingAttentionGrad> rings;
  for (std::size_t i = 0; i < q.size(); ++i) {
    rings.emplace_back(shares[i], q[i], forward[i], grads[i]);
  }
  std::vector<ops::Tensor> sums(q.size());  // by whose keys and values they are of
  for (std::int64_t step = 0; step < shares[0].ranks; ++step) {
    for (std::size_t i = 0; i < q.size(); ++i) {
      const std::size_t met = index(shares[i].met_in(step));
      sums[met] = rings[i].meet(context, keys_values[met], sums[met]);
    }
  }
  std::vector<ops::Tensor> results;
  for (std::size_t i = 0; i < q.size(); ++i) results.push_back(rings[i].finish(context, sums[i]));
  return results;
}

}  // namespace reef::nn::testing
