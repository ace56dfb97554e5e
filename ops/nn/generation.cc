#include "ops/nn/generation.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "ops/nn/decoder.h"
#include "runtime/base/check.h"
#include "runtime/base/random.h"

namespace reef::nn {

using ops::Context;
using ops::Tensor;

namespace {

constexpr std::size_t kMostRows = 32;  ///< continued side by side

using Tokens = std::vector<std::int32_t>;

/// Some prompts of one length, by index, and what has followed each.
class Continuation {
 public:
  Continuation(Context& context, const ModelSpec& spec, const Parameters& weights,
               const std::vector<Tokens>& prompts, std::vector<std::size_t> rows,
               const Generation& how)
      : context_(context),
        how_(how),
        rows_(std::move(rows)),
        random_(how.seed, "generate"),
        longest_(static_cast<std::size_t>(longest_context_of(spec.config))),
        choices_(how.vocabulary > 0 ? how.vocabulary
                                    : static_cast<std::size_t>(vocabulary_of(spec.config))),
        begun_(prompts[rows_.front()].size()),
        decoder_(spec, weights, static_cast<std::int64_t>(rows_.size()),
                 static_cast<std::int64_t>(
                     std::min(longest_, begun_ + std::min(longest_, how.tokens)))) {
    for (const std::size_t row : rows_) texts_.push_back(prompts[row]);
    ended_.resize(rows_.size());
  }

  Status run(const Chosen& chosen) {
    for (std::size_t i = 0; i < how_.tokens && !all_ended(); ++i) {
      if (!how_.beyond_context && texts_.front().size() >= longest_) break;
      const Tensor logits = ops::on_host(context_, decoder_.append(context_, next()));
      for (std::size_t row = 0; row < rows_.size(); ++row) {
        ATOLL_TRY(extend(row, i, logits, chosen));
      }
    }
    return {};
  }

  /// What followed the prompt of `row`; an ended row's end is the last.
  Tokens found(std::size_t row) const {
    const auto begin = texts_[row].begin() + static_cast<std::ptrdiff_t>(begun_);
    const auto length = ended_[row] > 0 ? ended_[row] : texts_[row].size();
    return {begin, texts_[row].begin() + static_cast<std::ptrdiff_t>(length)};
  }

 private:
  bool all_ended() const {
    return std::ranges::all_of(ended_, [](std::size_t length) { return length > 0; });
  }

  /// The tokens that the decoder has not seen: of each text equally many. Where no more fit, it
  /// begins anew with the latest.
  Tensor next() {
    if (decoder_.room() == 0) decoder_.clear();
    const std::size_t length = texts_.front().size();
    const std::size_t seen = static_cast<std::size_t>(decoder_.length());
    const std::size_t count = std::min(seen == 0 ? longest_ : std::size_t{1}, length);
    Tokens tokens;
    for (const Tokens& text : texts_)
      tokens.insert(tokens.end(), text.end() - static_cast<std::ptrdiff_t>(count), text.end());
    const auto rows = static_cast<std::int64_t>(texts_.size());
    return ops::on_device(context_,
                          Tensor::from(ops::Pool::host(), {rows, static_cast<std::int64_t>(count)},
                                       std::span<const std::int32_t>(tokens)));
  }

  /// A row that has ended goes on with its end, which nobody reads.
  Status extend(std::size_t row, std::size_t index, const Tensor& logits, const Chosen& chosen) {
    if (ended_[row] > 0) {
      texts_[row].push_back(*how_.end);
      return {};
    }
    const auto width = static_cast<std::size_t>(logits.shape().back());
    const auto known = logits.values<float>().subspan(row * width, std::min(width, choices_));
    if (!std::ranges::all_of(known, [](float logit) { return std::isfinite(logit); })) {
      return Error{Code::kPoison, "logits", "are not finite; the model's weights are not usable"};
    }
    const std::int32_t token = choose(known, how_.sampling, random_.uniform(rows_[row], index));
    texts_[row].push_back(token);
    if (token == how_.end) ended_[row] = texts_[row].size();
    if (chosen) chosen(rows_[row], token);
    return {};
  }

  Context& context_;
  const Generation& how_;
  std::vector<std::size_t> rows_;
  Random random_;
  std::size_t longest_;
  std::size_t choices_;
  std::size_t begun_;  ///< length of the prompts
  Decoder decoder_;
  std::vector<Tokens> texts_;
  std::vector<std::size_t> ended_;  ///< the text's length with its end; 0: it goes on
};

/// Indices of prompts: of one length in each group, at most kMostRows.
std::vector<std::vector<std::size_t>> side_by_side(const std::vector<Tokens>& prompts) {
  std::vector<std::size_t> order(prompts.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::ranges::stable_sort(order, {}, [&](std::size_t i) { return prompts[i].size(); });
  std::vector<std::vector<std::size_t>> groups;
  for (const std::size_t i : order) {
    const bool fits = !groups.empty() && groups.back().size() < kMostRows &&
                      prompts[groups.back().front()].size() == prompts[i].size();
    if (!fits) groups.emplace_back();
    groups.back().push_back(i);
  }
  return groups;
}

}  // namespace

std::int32_t choose(std::span<const float> logits, const Sampling& sampling, float uniform) {
  CHECK(!logits.empty());
  const auto likelier = [&](std::int32_t a, std::int32_t b) {
    const float x = logits[static_cast<std::size_t>(a)], y = logits[static_cast<std::size_t>(b)];
    return x > y || (x == y && a < b);
  };
  std::vector<std::int32_t> order(logits.size());
  std::iota(order.begin(), order.end(), 0);
  if (sampling.temperature <= 0) return *std::ranges::min_element(order, likelier);
  std::size_t kept = sampling.top_k == 0 ? order.size() : std::min(sampling.top_k, order.size());
  std::partial_sort(order.begin(), order.begin() + static_cast<std::ptrdiff_t>(kept), order.end(),
                    likelier);
  const auto logit = [&](std::size_t i) { return logits[static_cast<std::size_t>(order[i])]; };
  std::vector<double> weights(kept);
  for (std::size_t i = 0; i < kept; ++i) {
    weights[i] = std::exp((logit(i) - logit(0)) / sampling.temperature);
  }
  double total = std::accumulate(weights.begin(), weights.end(), 0.0);
  double nucleus = 0;
  for (std::size_t i = 0; i < kept; ++i) {
    nucleus += weights[i];
    if (nucleus < sampling.top_p * total) continue;
    kept = i + 1;
    total = nucleus;
  }
  double left = uniform * total;
  for (std::size_t i = 0; i + 1 < kept; ++i) {
    left -= weights[i];
    if (left < 0) return order[i];
  }
  return order[kept - 1];
}

Result<std::vector<Tokens>> generate(Context& context, const ModelSpec& spec,
                                     const Parameters& weights, const std::vector<Tokens>& prompts,
                                     const Generation& how, const Chosen& chosen) {
  std::vector<Tokens> found(prompts.size());
  for (const std::vector<std::size_t>& group : side_by_side(prompts)) {
    CHECK(!prompts[group.front()].empty()) << "a prompt";
    Continuation continuation(context, spec, weights, prompts, group, how);
    ATOLL_TRY(continuation.run(chosen));
    for (std::size_t row = 0; row < group.size(); ++row)
      found[group[row]] = continuation.found(row);
  }
  return found;
}

}  // namespace reef::nn
