#include <algorithm>
#include <cmath>
#include <numbers>

#include "ops/cpu/attention/tiles.h"

// With P the weights, F the dropout factors, O = (P F) V and delta = rowsum(dO O):
//   dV = (P F)^T dO      dP = (dO V^T) F      dS = P (dP - delta) scale
//   dQ = dS K            dK = dS^T Q
//
// A task is one group of one sample, or a share of its keys where groups are few. It takes its
// tiles of keys one by one, with the sums of dk and dv in scratch, and lets all queries of all
// heads of the group pass by. The sums of dq grow from tile to tile; with several shares each has
// its own and they are added in the order of the shares, so that five products suffice for any
// split.

namespace reef::ops::cpu {

namespace {

constexpr Index kTileQueries = 96;
constexpr Index kTileKeys = 96;
constexpr Index kScoreStride = kTileKeys + kTileSlack;
static_assert(kTileKeys <= kMostColumns);

struct Operands {
  const AttentionSaved& saved;
  const Source& grad;
  const Target& dq;
  const Target& dk;
  const Target& dv;
  float* delta;  ///< (samples, heads, queries)
};

Index shares_of(const AttentionShape& shape) {
  const Index groups = std::max<Index>(1, shape.samples * shape.groups);
  const Index wanted = tiles_of(kEnoughTasks, groups);
  return std::clamp<Index>(wanted, 1,
                           std::clamp<Index>(tiles_of(shape.keys, kTileKeys), 1, kMostShares));
}

/// Which share has a tile: to and fro, as early tiles meet more queries when causal.
Index share_of(Index tile, Index shares) {
  const Index at = tile % (2 * shares);
  return at < shares ? at : 2 * shares - 1 - at;
}

class Share {
 public:
  Share(const Plan& plan, Pool& pool);
  /// Adds to dq (heads of the group, padded queries, width), which starts as zeros; writes dk, dv.
  void run(const Operands& operands, Index sample, Index group, Index share, Index shares,
           float* dq);

 private:
  void take_keys(const Operands& operands, Index sample, Index group, Index key, Index columns);
  void meet(const Operands& operands, Index sample, Index head, Index key, Index columns,
            float* dq);
  void pack_queries(const Operands& operands, Index sample, Index head, Index first, Index rows);
  void give_keys(const Operands& operands, Index sample, Index group, Index key, Index columns);

  const Plan& plan_;
  float *q_, *grad_, *k_, *k_transposed_, *v_transposed_, *p_, *ds_, *dk_, *dv_;
  float *log_sum_exp_, *factor_, *bias_;
  std::shared_ptr<std::byte> scratch_;
  const float* tile_bias_ = nullptr;
};

Share::Share(const Plan& plan, Pool& pool)
    : plan_(plan),
      scratch_(carve(pool, {{&q_, kTileQueries * plan.width_stride},
                            {&grad_, kTileQueries * plan.width_stride},
                            {&k_, kTileKeys * plan.width_stride},
                            {&k_transposed_, plan.width * kScoreStride},
                            {&v_transposed_, plan.width * kScoreStride},
                            {&p_, kTileQueries * kScoreStride},
                            {&ds_, kTileQueries * kScoreStride},
                            {&dk_, kTileKeys * plan.width_stride},
                            {&dv_, kTileKeys * plan.width_stride},
                            {&log_sum_exp_, kTileQueries},
                            {&factor_, kTileKeys},
                            {&bias_, kTileKeys}})) {}

void Share::run(const Operands& operands, Index sample, Index group, Index share, Index shares,
                float* dq) {
  const AttentionShape& shape = plan_.shape;
  const Index heads = shape.heads / shape.groups;
  const Index head_floats = padded(shape.queries, plan_.kernels.rows) * plan_.width;
  const Index visible = plan_.visible_keys(sample);
  for (Index tile = 0; tile * kTileKeys < shape.keys; ++tile) {
    if (share_of(tile, shares) != share) continue;
    const Index key = tile * kTileKeys;
    const Index columns = std::clamp<Index>(visible - key, 0, kTileKeys);
    std::fill_n(dk_, kTileKeys * plan_.width_stride, 0.0f);
    std::fill_n(dv_, kTileKeys * plan_.width_stride, 0.0f);
    if (columns > 0) {
      take_keys(operands, sample, group, key, columns);
      for (Index head = 0; head < heads; ++head) {
        meet(operands, sample, group * heads + head, key, columns, dq + head * head_floats);
      }
    }
    give_keys(operands, sample, group, key, std::min(kTileKeys, shape.keys - key));
  }
}

void Share::take_keys(const Operands& operands, Index sample, Index group, Index key,
                      Index columns) {
  const AttentionKernels& kernels = plan_.kernels;
  const Index width = plan_.shape.width;
  const Source& k = operands.saved.k;
  const Source& v = operands.saved.v;
  const auto* keys = plan_.at(k, sample, key, group);
  kernels.pack(plan_.element, columns, width, keys, k.time, 1, k_, plan_.width_stride);
  kernels.pack_transposed(plan_.element, columns, width, keys, k.time, k_transposed_, kScoreStride);
  kernels.pack_transposed(plan_.element, columns, width, plan_.at(v, sample, key, group), v.time,
                          v_transposed_, kScoreStride);
  tile_bias_ = plan_.bias(sample, key, columns, bias_);
}

void Share::meet(const Operands& operands, Index sample, Index head, Index key, Index columns,
                 float* dq) {
  const AttentionShape& shape = plan_.shape;
  const AttentionKernels& kernels = plan_.kernels;
  const Index stride = plan_.width_stride;
  const float* delta = operands.delta + (sample * shape.heads + head) * shape.queries;
  for (Index first = 0; first < shape.queries; first += kTileQueries) {
    const ScoreTile tile =
        plan_.tile(first, std::min(kTileQueries, shape.queries - first), key, columns);
    if (tile.edge + tile.rows <= 1) continue;
    pack_queries(operands, sample, head, first, tile.rows);
    const TileDropout dropout(plan_, sample, head, first, key);
    kernels.scores(tile, shape.width, q_, stride, k_transposed_, kScoreStride, p_, kScoreStride);
    kernels.scores(tile, shape.width, grad_, stride, v_transposed_, kScoreStride, ds_,
                   kScoreStride);
    kernels.softmax_grad(tile, tile_bias_, dropout.get(), log_sum_exp_, delta + first, p_, ds_,
                         kScoreStride);
    kernels.add_to_keys(tile, plan_.width, p_, kScoreStride, grad_, stride, dv_, stride);
    kernels.add_to_keys(tile, plan_.width, ds_, kScoreStride, q_, stride, dk_, stride);
    kernels.add_to_queries(tile, plan_.width, ds_, kScoreStride, k_, stride, nullptr,
                           dq + first * plan_.width, plan_.width);
  }
}

void Share::pack_queries(const Operands& operands, Index sample, Index head, Index first,
                         Index rows) {
  const AttentionShape& shape = plan_.shape;
  const Source& q = operands.saved.q;
  plan_.kernels.pack(plan_.element, rows, shape.width, plan_.at(q, sample, first, head), q.time,
                     plan_.scale * std::numbers::log2e_v<float>, q_, plan_.width_stride);
  plan_.kernels.pack(plan_.element, rows, shape.width, plan_.at(operands.grad, sample, first, head),
                     operands.grad.time, 1, grad_, plan_.width_stride);
  const float* log_sum_exp =
      operands.saved.log_sum_exp + (sample * shape.heads + head) * shape.queries + first;
  for (Index i = 0; i < rows; ++i) {
    // A row that saw nothing subtracts plus infinity, so that its weights are zero once more.
    log_sum_exp_[i] =
        log_sum_exp[i] == -kInfinity ? kInfinity : log_sum_exp[i] * std::numbers::log2e_v<float>;
  }
}

void Share::give_keys(const Operands& operands, Index sample, Index group, Index key,
                      Index columns) {
  const Index width = plan_.shape.width;
  const AttentionKernels& kernels = plan_.kernels;
  // The packed queries carry scale / ln 2.
  std::fill_n(factor_, columns, std::numbers::ln2_v<float>);
  kernels.unpack(plan_.element, columns, width, dk_, plan_.width_stride, factor_,
                 plan_.at(operands.dk, sample, key, group), operands.dk.time);
  std::fill_n(factor_, columns, 1.0f);
  kernels.unpack(plan_.element, columns, width, dv_, plan_.width_stride, factor_,
                 plan_.at(operands.dv, sample, key, group), operands.dv.time);
}

/// Writes dq of one head from the sums of all shares, which lie `share_floats` apart.
void give_queries(const Plan& plan, const Target& dq, Index sample, Index head, float* sums,
                  Index shares, Index share_floats) {
  const AttentionShape& shape = plan.shape;
  for (Index first = 0; first < shape.queries; first += kTileQueries) {
    const Index rows = std::min(kTileQueries, shape.queries - first);
    float* sum = sums + first * plan.width;
    for (Index share = 1; share < shares; ++share) {
      const float* other = sum + share * share_floats;
      for (Index i = 0; i < rows * plan.width; ++i) sum[i] += other[i];
    }
    float factor[kTileQueries];
    std::fill_n(factor, rows, plan.scale);
    plan.kernels.unpack(plan.element, rows, shape.width, sum, plan.width, factor,
                        plan.at(dq, sample, first, head), dq.time);
  }
}

void find_delta(Context& context, const Plan& plan, const Operands& operands) {
  const AttentionShape& shape = plan.shape;
  const Source& out = operands.saved.out;
  context.parallel_for(
      static_cast<std::size_t>(shape.samples * shape.heads), [&](std::size_t task) {
        const Index sample = static_cast<Index>(task) / shape.heads;
        const Index head = static_cast<Index>(task) % shape.heads;
        plan.kernels.row_dot(plan.element, shape.queries, shape.width,
                             plan.at(out, sample, 0, head), out.time,
                             plan.at(operands.grad, sample, 0, head), operands.grad.time,
                             operands.delta + static_cast<Index>(task) * shape.queries);
      });
}

}  // namespace

void attention_backward(Context& context, const AttentionShape& shape, const AttentionSaved& saved,
                        const Source& grad, const Target& dq, const Target& dk, const Target& dv) {
  const Plan plan(shape);
  const Index heads = shape.heads / shape.groups;
  const Index shares = shares_of(shape);
  const Index groups = shape.samples * shape.groups;
  const Index head_floats = padded(shape.queries, plan.kernels.rows) * plan.width;
  const Index share_floats = groups * heads * head_floats;

  float* delta = nullptr;
  float* sums = nullptr;  // of dq: (shares, samples, heads, padded queries, width)
  const auto workspace = carve(context.pool(), {{&delta, groups * heads * shape.queries},
                                                {&sums, shares > 1 ? shares * share_floats : 0}});
  const Operands operands{saved, grad, dq, dk, dv, delta};
  find_delta(context, plan, operands);
  context.parallel_for(static_cast<std::size_t>(groups * shares), [&](std::size_t task) {
    const Index share = static_cast<Index>(task) / groups;
    const Index index = static_cast<Index>(task) % groups;
    const Index sample = index / shape.groups;
    const Index group = index % shape.groups;
    // A share of everything keeps its sums near: they never leave the cache of its core.
    float* own = nullptr;
    std::shared_ptr<std::byte> near;
    if (shares == 1) {
      near = carve(context.pool(), {{&own, heads * head_floats}});
    } else {
      own = sums + share * share_floats + index * heads * head_floats;
    }
    std::fill_n(own, heads * head_floats, 0.0f);
    Share(plan, context.pool()).run(operands, sample, group, share, shares, own);
    if (shares > 1) return;
    for (Index head = 0; head < heads; ++head) {
      give_queries(plan, dq, sample, group * heads + head, own + head * head_floats, 1, 0);
    }
  });
  if (shares == 1) return;
  context.parallel_for(static_cast<std::size_t>(groups * heads), [&](std::size_t task) {
    const Index index = static_cast<Index>(task);
    give_queries(plan, dq, index / shape.heads, index % shape.heads, sums + index * head_floats,
                 shares, share_floats);
  });
}

}  // namespace reef::ops::cpu
