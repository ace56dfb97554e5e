#include <cmath>
#include <limits>
#include <optional>
#include <vector>

#include "ops/catalog/draw.h"
#include "ops/reference/kernels.h"

namespace reef::ops::reference {

namespace {

/// One head of one sample: query, keys and values as rows, and which keys each query sees.
template <typename T>
struct Head {
  const Call& call;
  const Tensor* mask;  ///< or null
  std::int64_t sample, head;

  std::int64_t queries() const { return call.in[0].shape()[1]; }
  std::int64_t keys() const { return call.in[1].shape()[1]; }
  std::int64_t width() const { return call.in[0].shape()[3]; }
  std::int64_t heads() const { return call.in[0].shape()[2]; }

  /// Row `row` of a tensor (B, T, H or G, D); heads share groups.
  T* row(const Tensor& tensor, std::int64_t index) const {
    const std::int64_t group = head / (heads() / tensor.shape()[2]);
    return tensor.data<T>() + sample * tensor.stride(0) + index * tensor.stride(1) +
           group * tensor.stride(2);
  }

  double scale() const {
    const double given = call.attributes.scale;
    return given != 0 ? given : 1 / std::sqrt(static_cast<double>(width()));
  }

  bool sees(std::int64_t query, std::int64_t key) const {
    if (call.attributes.causal && key > query + keys() - queries()) return false;
    if (mask == nullptr) return true;
    if (mask->dtype() == DType::kI32) {
      return key < mask->data<std::int32_t>()[sample * mask->stride(0)];
    }
    return mask->data<bool>()[sample * mask->stride(0) + key * mask->stride(1)];
  }

  /// The scaled scores of one query; minus infinity where it does not see.
  std::vector<double> scores(std::int64_t query) const {
    std::vector<double> result(static_cast<std::size_t>(keys()),
                               -std::numeric_limits<double>::infinity());
    const T* q = row(call.in[0], query);
    for (std::int64_t key = 0; key < keys(); ++key) {
      if (!sees(query, key)) continue;
      const T* k = row(call.in[1], key);
      double sum = 0;
      for (std::int64_t c = 0; c < width(); ++c) sum += static_cast<double>(q[c]) * k[c];
      result[static_cast<std::size_t>(key)] = sum * scale();
    }
    return result;
  }
};

class Factors {
 public:
  explicit Factors(const Draw& draw) : draw_(draw) {
    if (draw.probability > 0) stream_.emplace(dropout_stream(draw));
  }
  template <typename T>
  double at(const Head<T>& h, std::int64_t query, std::int64_t key) const {
    if (!stream_) return 1;
    const std::int64_t element = (h.head * h.queries() + query) * h.keys() + key;
    return dropout_factor(*stream_, draw_,
                          draw_.first_sample + static_cast<std::uint64_t>(h.sample),
                          static_cast<std::uint64_t>(element));
  }

 private:
  const Draw& draw_;
  std::optional<Random> stream_;
};

template <typename Body>
void for_heads(const Shape& q, const Body& body) {
  for (std::int64_t sample = 0; sample < q[0]; ++sample) {
    for (std::int64_t head = 0; head < q[2]; ++head) body(sample, head);
  }
}

/// log(sum(exp(scores))); minus infinity when nothing is seen.
double log_sum_exp(const std::vector<double>& scores) {
  double most = -std::numeric_limits<double>::infinity();
  for (const double score : scores) most = std::max(most, score);
  if (std::isinf(most)) return most;
  double sum = 0;
  for (const double score : scores) sum += std::exp(score - most);
  return most + std::log(sum);
}

/// The softmax, in place; zeros when nothing is seen.
void to_weights(std::vector<double>& scores) {
  const double total = log_sum_exp(scores);
  for (double& score : scores) score = std::isinf(total) ? 0 : std::exp(score - total);
}

template <typename T>
void forward(const Call& call) {
  const Factors factors(call.attributes.draw);
  const Tensor* mask = call.in.size() > 3 ? &call.in[3] : nullptr;
  for_heads(call.in[0].shape(), [&](std::int64_t sample, std::int64_t head) {
    const Head<T> h{call, mask, sample, head};
    float* sums = call.out[1].data<float>() + (sample * h.heads() + head) * h.queries();
    for (std::int64_t query = 0; query < h.queries(); ++query) {
      std::vector<double> p = h.scores(query);
      sums[query] = static_cast<float>(log_sum_exp(p));
      to_weights(p);
      T* out = h.row(call.out[0], query);
      for (std::int64_t c = 0; c < h.width(); ++c) {
        double value = 0;
        for (std::int64_t key = 0; key < h.keys(); ++key) {
          value += p[static_cast<std::size_t>(key)] * factors.at(h, query, key) *
                   h.row(call.in[2], key)[c];
        }
        out[c] = static_cast<T>(value);
      }
    }
  });
}

/// The weights of one query's keys among all that the forward pass met, by its log-sum-exp. These
/// may be more than the keys here, whose gradients are then their part. Where they are the same the
/// factor is 1, although the log-sum-exp is f32.
template <typename T>
std::vector<double> weights(const Head<T>& h, std::int64_t query) {
  std::vector<double> p = h.scores(query);
  const auto here = static_cast<float>(log_sum_exp(p));
  to_weights(p);
  const Tensor& met = h.call.in[4];
  const double all =
      met.data<float>()[h.sample * met.stride(0) + h.head * met.stride(1) + query * met.stride(2)];
  const double share = std::isinf(here) ? 0 : std::exp(static_cast<double>(here) - all);
  for (double& weight : p) weight *= share;
  return p;
}

/// Adds one query's part to the gradients. `keys` and `values` are sums in double, (S, D).
template <typename T>
void query_grad(const Head<T>& h, const Factors& factors, std::int64_t query,
                std::vector<double>& keys, std::vector<double>& values) {
  const T* grad = h.row(h.call.in[5], query);
  const T* q = h.row(h.call.in[0], query);
  const T* y = h.row(h.call.in[3], query);
  const std::vector<double> p = weights(h, query);
  std::vector<double> dp(p.size());
  double mean = 0;  // of dp by all weights
  for (std::int64_t c = 0; c < h.width(); ++c) mean += static_cast<double>(grad[c]) * y[c];
  for (std::int64_t key = 0; key < h.keys(); ++key) {
    const auto at = static_cast<std::size_t>(key);
    const double factor = factors.at(h, query, key);
    const T* v = h.row(h.call.in[2], key);
    for (std::int64_t c = 0; c < h.width(); ++c) {
      dp[at] += factor * grad[c] * v[c];
      values[static_cast<std::size_t>(key * h.width() + c)] += p[at] * factor * grad[c];
    }
  }
  std::vector<double> dq(static_cast<std::size_t>(h.width()));
  for (std::int64_t key = 0; key < h.keys(); ++key) {
    const auto at = static_cast<std::size_t>(key);
    const double ds = p[at] * (dp[at] - mean) * h.scale();
    const T* k = h.row(h.call.in[1], key);
    for (std::int64_t c = 0; c < h.width(); ++c) {
      dq[static_cast<std::size_t>(c)] += ds * k[c];
      keys[static_cast<std::size_t>(key * h.width() + c)] += ds * q[c];
    }
  }
  T* out = h.row(h.call.out[0], query);
  for (std::int64_t c = 0; c < h.width(); ++c) {
    out[c] = static_cast<T>(dq[static_cast<std::size_t>(c)]);
  }
}

template <typename T>
void backward(const Call& call) {
  const Factors factors(call.attributes.draw);
  const Tensor* mask = call.in.size() > 6 ? &call.in[6] : nullptr;
  const Shape& k = call.in[1].shape();
  const std::int64_t shared = call.in[0].shape()[2] / k[2];
  const auto elements = static_cast<std::size_t>(k[1] * k[3]);
  std::vector<double> keys(elements);
  std::vector<double> values(elements);
  for_heads(call.in[0].shape(), [&](std::int64_t sample, std::int64_t head) {
    const Head<T> h{call, mask, sample, head};
    for (std::int64_t query = 0; query < h.queries(); ++query) {
      query_grad(h, factors, query, keys, values);
    }
    if ((head + 1) % shared != 0) return;  // the group has more heads
    for (std::int64_t key = 0; key < h.keys(); ++key) {
      for (std::int64_t c = 0; c < h.width(); ++c) {
        const auto at = static_cast<std::size_t>(key * h.width() + c);
        h.row(call.out[1], key)[c] = static_cast<T>(keys[at]);
        h.row(call.out[2], key)[c] = static_cast<T>(values[at]);
      }
    }
    std::fill(keys.begin(), keys.end(), 0.0);
    std::fill(values.begin(), values.end(), 0.0);
  });
}

/// Rows are read as arrays.
void check_rows(std::span<const Tensor> tensors) {
  for (const Tensor& tensor : tensors) {
    CHECK(tensor.stride(3) == 1 || tensor.shape()[3] == 1) << "attention takes D contiguous";
  }
}

}  // namespace

void attention(const Call& call) {
  check_rows(call.in.first(3));
  check_rows(call.out.first(1));
  call.in[0].dtype() == DType::kF64 ? forward<double>(call) : forward<float>(call);
}

void attention_grad(const Call& call) {
  check_rows(call.in.first(4));
  check_rows(call.in.subspan(5, 1));
  check_rows(call.out);
  call.in[0].dtype() == DType::kF64 ? backward<double>(call) : backward<float>(call);
}

}  // namespace reef::ops::reference
