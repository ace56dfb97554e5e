#include <cmath>
#include <optional>
#include <vector>

#include "ops/catalog/draw.h"
#include "ops/reference/kernels.h"

namespace reef::ops::reference {

namespace {

/// One head of one sample: plain pointers and the probabilities of one query row.
struct Head {
  std::int64_t length, width, stride;
  const float* q;
  const float* k;
  const float* v;

  std::vector<double> scores(std::int64_t row) const {
    std::vector<double> result(static_cast<std::size_t>(row + 1));
    for (std::int64_t key = 0; key <= row; ++key) {
      double sum = 0;
      for (std::int64_t c = 0; c < width; ++c) {
        sum += static_cast<double>(q[row * stride + c]) * k[key * stride + c];
      }
      result[static_cast<std::size_t>(key)] = sum / std::sqrt(static_cast<double>(width));
    }
    return result;
  }
};

template <typename Body>
void for_heads(const Call& call, const Body& body) {
  const Shape& shape = call.in[0].shape();
  const std::int64_t heads = call.attributes.heads;
  const std::int64_t channels = shape[2] / 3;
  for (std::int64_t sample = 0; sample < shape[0]; ++sample) {
    for (std::int64_t head = 0; head < heads; ++head) {
      const std::int64_t width = channels / heads;
      const float* q = call.in[0].data<float>() + sample * shape[1] * shape[2] + head * width;
      body(Head{shape[1], width, shape[2], q, q + channels, q + 2 * channels}, sample, head);
    }
  }
}

class Factors {
 public:
  explicit Factors(const Draw& draw) : draw_(draw) {
    if (draw.probability > 0) stream_.emplace(dropout_stream(draw));
  }
  double at(const Head& h, std::int64_t sample, std::int64_t head, std::int64_t row,
            std::int64_t key) const {
    if (!stream_) return 1;
    return dropout_factor(*stream_, draw_, draw_.first_sample + static_cast<std::uint64_t>(sample),
                          static_cast<std::uint64_t>((head * h.length + row) * h.length + key));
  }

 private:
  const Draw& draw_;
  std::optional<Random> stream_;
};

}  // namespace

void attention(const Call& call) {
  const Factors factors(call.attributes.draw);
  for_heads(call, [&](const Head& h, std::int64_t sample, std::int64_t head) {
    const std::int64_t channels = h.stride / 3;
    for (std::int64_t row = 0; row < h.length; ++row) {
      const std::vector<double> scores = h.scores(row);
      double sum = 0;
      for (const double score : scores) sum += std::exp(score);
      float* out =
          call.out[0].data<float>() + (sample * h.length + row) * channels + head * h.width;
      for (std::int64_t c = 0; c < h.width; ++c) {
        double value = 0;
        for (std::int64_t key = 0; key <= row; ++key) {
          value += std::exp(scores[static_cast<std::size_t>(key)]) / sum *
                   factors.at(h, sample, head, row, key) * h.v[key * h.stride + c];
        }
        out[c] = static_cast<float>(value);
      }
      call.out[1].data<float>()[(sample * call.attributes.heads + head) * h.length + row] =
          static_cast<float>(std::log(sum));
    }
  });
}

void attention_grad(const Call& call) {
  const Factors factors(call.attributes.draw);
  std::fill_n(call.out[0].data<float>(), call.out[0].elements(), 0.0f);
  for_heads(call, [&](const Head& h, std::int64_t sample, std::int64_t head) {
    const std::int64_t channels = h.stride / 3;
    float* dq = call.out[0].data<float>() + (h.q - call.in[0].data<float>());
    float* dk = dq + channels;
    float* dv = dk + channels;
    const double scale = 1 / std::sqrt(static_cast<double>(h.width));
    for (std::int64_t row = 0; row < h.length; ++row) {
      const float* grad =
          call.in[3].data<float>() + (sample * h.length + row) * channels + head * h.width;
      std::vector<double> p = h.scores(row);
      double sum = 0;
      for (const double score : p) sum += std::exp(score);
      std::vector<double> dp(p.size());
      double mean = 0;
      for (std::int64_t key = 0; key <= row; ++key) {
        const auto at = static_cast<std::size_t>(key);
        p[at] = std::exp(p[at]) / sum;
        const double factor = factors.at(h, sample, head, row, key);
        for (std::int64_t c = 0; c < h.width; ++c) {
          dp[at] += factor * grad[c] * h.v[key * h.stride + c];
          dv[key * h.stride + c] += static_cast<float>(p[at] * factor * grad[c]);
        }
        mean += p[at] * dp[at];
      }
      for (std::int64_t key = 0; key <= row; ++key) {
        const auto at = static_cast<std::size_t>(key);
        const double ds = p[at] * (dp[at] - mean) * scale;
        for (std::int64_t c = 0; c < h.width; ++c) {
          dq[row * h.stride + c] += static_cast<float>(ds * h.k[key * h.stride + c]);
          dk[key * h.stride + c] += static_cast<float>(ds * h.q[row * h.stride + c]);
        }
      }
    }
  });
}

}  // namespace reef::ops::reference
