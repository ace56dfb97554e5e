#include <algorithm>
#include <cmath>
#include <numbers>

#include "ops/cpu/attention/tiles.h"

// A task is one block of queries of one head. The block meets the keys tile by tile; each tile of
// keys is packed once for the whole block, which is why the block is larger than a tile of scores.
//
// With m the running maximum and l the running sum of a row, over tiles j of scores S (base 2):
//   m' = max(m, rowmax(S_j))     P = 2^(S_j - m')       keep = 2^(m - m')
//   l  = keep l + rowsum(P)      O = keep O + P V_j     out = O / l     lse = m ln 2 + ln l

namespace reef::ops::cpu {

namespace {

constexpr Index kTileQueries = 48;
constexpr Index kTileKeys = 192;
static_assert(kTileKeys <= kMostColumns);

/// Multiples of every table's `rows`. Long blocks pack the keys less often; short ones make enough
/// tasks of few heads.
Index block_queries(const Plan& plan) {
  constexpr Index kLong = 264;
  constexpr Index kShort = 96;
  const AttentionShape& shape = plan.shape;
  const bool enough = shape.samples * shape.heads * tiles_of(shape.queries, kLong) >= kEnoughTasks;
  return enough ? kLong : kShort;
}

struct Operands {
  const Source& q;
  const Source& k;
  const Source& v;
  const Target& out;
  float* log_sum_exp;
};

class Block {
 public:
  Block(const Plan& plan, Pool& pool, Index queries);
  void run(const Operands& operands, Index sample, Index head, Index first, Index count);

 private:
  void meet(Index sample, Index head, Index first, Index count, Index key, Index columns);
  void finish(const Operands& operands, Index sample, Index head, Index first, Index count);

  static constexpr Index kScoreStride = kTileKeys + kTileSlack;
  const Plan& plan_;
  float *q_, *o_, *k_, *v_, *s_;  // k_ transposed
  float *maximum_, *sum_, *keep_, *bias_;
  std::shared_ptr<std::byte> scratch_;
  const float* tile_bias_ = nullptr;
};

Block::Block(const Plan& plan, Pool& pool, Index queries)
    : plan_(plan),
      scratch_(carve(pool, {{&q_, queries * plan.width_stride},
                            {&o_, queries * plan.width_stride},
                            {&k_, plan.width * kScoreStride},
                            {&v_, kTileKeys * plan.width_stride},
                            {&s_, kTileQueries * kScoreStride},
                            {&maximum_, queries},
                            {&sum_, queries},
                            {&keep_, queries},
                            {&bias_, kTileKeys}})) {}

void Block::run(const Operands& operands, Index sample, Index head, Index first, Index count) {
  const AttentionShape& shape = plan_.shape;
  const AttentionKernels& kernels = plan_.kernels;
  const Index rows = padded(count, kernels.rows);
  kernels.pack(plan_.element, count, shape.width, plan_.at(operands.q, sample, first, head),
               operands.q.time, plan_.scale * std::numbers::log2e_v<float>, q_, plan_.width_stride);
  std::fill_n(o_, rows * plan_.width_stride, 0.0f);
  std::fill_n(maximum_, rows, -kInfinity);
  std::fill_n(sum_, rows, 0.0f);
  std::fill_n(keep_, rows, 0.0f);
  Index keys = plan_.visible_keys(sample);
  if (shape.causal) keys = std::min(keys, first + count + shape.keys - shape.queries);
  const Index group = head / (shape.heads / shape.groups);
  for (Index key = 0; key < keys; key += kTileKeys) {
    const Index columns = std::min(kTileKeys, keys - key);
    kernels.pack_transposed(plan_.element, columns, shape.width,
                            plan_.at(operands.k, sample, key, group), operands.k.time, k_,
                            kScoreStride);
    kernels.pack(plan_.element, columns, shape.width, plan_.at(operands.v, sample, key, group),
                 operands.v.time, 1, v_, plan_.width_stride);
    tile_bias_ = plan_.bias(sample, key, columns, bias_);
    meet(sample, head, first, count, key, columns);
  }
  finish(operands, sample, head, first, count);
}

void Block::meet(Index sample, Index head, Index first, Index count, Index key, Index columns) {
  const AttentionKernels& kernels = plan_.kernels;
  for (Index row = 0; row < count; row += kTileQueries) {
    const ScoreTile tile =
        plan_.tile(first + row, std::min(kTileQueries, count - row), key, columns);
    if (tile.edge + tile.rows <= 1) continue;
    const TileDropout dropout(plan_, sample, head, first + row, key);
    kernels.scores(tile, plan_.shape.width, q_ + row * plan_.width_stride, plan_.width_stride, k_,
                   kScoreStride, s_, kScoreStride);
    kernels.softmax(tile, tile_bias_, dropout.get(), s_, kScoreStride, maximum_ + row, sum_ + row,
                    keep_ + row);
    kernels.add_to_queries(tile, plan_.width, s_, kScoreStride, v_, plan_.width_stride, keep_ + row,
                           o_ + row * plan_.width_stride, plan_.width_stride);
  }
}

void Block::finish(const Operands& operands, Index sample, Index head, Index first, Index count) {
  const AttentionShape& shape = plan_.shape;
  float* log_sum_exp = operands.log_sum_exp + (sample * shape.heads + head) * shape.queries + first;
  for (Index i = 0; i < count; ++i) {
    log_sum_exp[i] = maximum_[i] * std::numbers::ln2_v<float> + std::log(sum_[i]);
    keep_[i] = sum_[i] > 0 ? 1 / sum_[i] : 0;
  }
  plan_.kernels.unpack(plan_.element, count, shape.width, o_, plan_.width_stride, keep_,
                       plan_.at(operands.out, sample, first, head), operands.out.time);
}

}  // namespace

void attention_forward(Context& context, const AttentionShape& shape, const Source& q,
                       const Source& k, const Source& v, const Target& out, float* log_sum_exp) {
  const Plan plan(shape);
  const Operands operands{q, k, v, out, log_sum_exp};
  const Index block = block_queries(plan);
  const Index blocks = tiles_of(shape.queries, block);
  const Index heads = shape.samples * shape.heads;
  context.parallel_for(static_cast<std::size_t>(heads * blocks), [&](std::size_t task) {
    // The last queries see the most keys: they go first, so that no thread ends up alone with them.
    const Index first = (blocks - 1 - static_cast<Index>(task) / heads) * block;
    const Index index = static_cast<Index>(task) % heads;
    const Index count = std::min(block, shape.queries - first);
    Block(plan, context.pool(), std::min(block, padded(count, plan.kernels.rows)))
        .run(operands, index / shape.heads, index % shape.heads, first, count);
  });
}

}  // namespace reef::ops::cpu
