#include "runtime/app/held_out_loss.h"

#include <algorithm>
#include <cmath>
#include <numbers>
#include <optional>
#include <span>

#include "actors/data/format/data_order.h"
#include "actors/data/format/pairs.h"
#include "actors/data/format/token_shards.h"

namespace reef::app {
namespace {

/// Logits of one pass, which are the most that it holds: 128 MiB.
constexpr std::size_t kMostLogits = std::size_t{1} << 25;
constexpr std::size_t kMostRows = 64;

/// The model's longest, if nothing else is asked for; of pairs, the one that they are packed for.
Result<std::size_t> context_of(const Model& model, const HeldOutOptions& options,
                               const std::optional<data::PairForm>& pairs) {
  const auto longest = static_cast<std::size_t>(nn::longest_context_of(model.spec.config));
  const std::size_t own = pairs ? pairs->window : longest;
  const std::size_t context = options.context == 0 ? own : options.context;
  if (pairs && context != own) {
    return Error{Code::kUsage, "--context",
                 std::to_string(context) + " is not the " + std::to_string(own) +
                     " of the windows in which the data holds its pairs"};
  }
  if (context <= longest) return context;
  return Error{Code::kUsage, "--context",
               std::to_string(context) + " is more than the model's longest context of " +
                   std::to_string(longest)};
}

Status check(const data::TokenShards& shards, const Model& model,
             const std::filesystem::path& folder, std::size_t context) {
  const auto vocabulary = static_cast<std::uint64_t>(nn::vocabulary_of(model.spec.config));
  if (shards.vocab_size() > vocabulary) {
    return Error{Code::kData, folder.string(),
                 "has " + std::to_string(shards.vocab_size()) +
                     " tokens, the model's vocabulary is of " + std::to_string(vocabulary)};
  }
  if (shards.tokens() <= context) {
    return Error{Code::kData, folder.string(),
                 "holds out " + std::to_string(shards.tokens()) +
                     " tokens; one window needs more than the context of " +
                     std::to_string(context) + "; --context takes less"};
  }
  return {};
}

/// Forward passes over some windows at a time.
class Pass {
 public:
  Pass(ops::Context& context, const Model& model, const Words& words,
       const std::optional<data::PairForm>& pairs)
      : context_(context),
        model_(model),
        stage_(model.spec, 0, model.spec.layers.size()),
        pairs_(pairs) {
    for (std::size_t token = 0; token < words.vocabulary(); ++token) {
      token_bytes_.push_back(words.decode(static_cast<std::int32_t>(token)).size());
    }
  }

  /// `windows` (rows, length + 1).
  Status add(std::span<const std::int32_t> windows, std::size_t rows, HeldOutLoss& sum) const {
    const std::size_t length = windows.size() / rows - 1;
    const ops::Shape shape{static_cast<std::int64_t>(rows), static_cast<std::int64_t>(length)};
    const auto tokens = ops::Tensor::empty(context_.pool(), ops::DType::kI32, shape);
    const auto targets = ops::Tensor::empty(context_.pool(), ops::DType::kI32, shape);
    for (std::size_t row = 0; row < rows; ++row) {
      const auto window = windows.subspan(row * (length + 1), length + 1);
      const auto inputs = tokens.values<std::int32_t>().subspan(row * length, length);
      const auto outputs = targets.values<std::int32_t>().subspan(row * length, length);
      std::ranges::copy(window.first(length), inputs.begin());
      std::ranges::copy(window.last(length), outputs.begin());
      if (pairs_) data::leave_out_sources(*pairs_, inputs, outputs);
    }
    const auto logits =
        stage_.forward(context_, model_.weights, tokens, {.training = false}, nullptr);
    const auto loss = nn::cross_entropy(context_, logits, targets, 0, false);
    if (!std::isfinite(loss.loss_sum)) {
      return Error{Code::kPoison, "loss", "is not finite; the model's weights are not usable"};
    }
    sum.loss_sum += loss.loss_sum;
    sum.tokens += static_cast<std::uint64_t>(loss.tokens);
    for (const std::int32_t target : targets.values<std::int32_t>()) {
      if (target == data::kUncounted || (pairs_ && target == pairs_->end)) continue;
      sum.bytes += token_bytes_.at(static_cast<std::size_t>(target));
    }
    return {};
  }

 private:
  ops::Context& context_;
  const Model& model_;
  nn::Stage stage_;
  std::optional<data::PairForm> pairs_;
  std::vector<std::size_t> token_bytes_;
};

}  // namespace

double HeldOutLoss::bits_per_byte() const {
  return loss_sum / std::numbers::ln2 / static_cast<double>(bytes);
}

Result<HeldOutLoss> held_out_loss(ops::Context& context, const Model& model, const Words& words,
                                  const HeldOutOptions& options) {
  HeldOutLoss sum;
  ATOLL_ASSIGN(const auto shards, data::TokenShards::open(options.data, "validation"));
  ATOLL_ASSIGN(sum.context, context_of(model, options, shards.pairs()));
  ATOLL_TRY(check(shards, model, options.data, sum.context));
  sum.windows = options.windows > 0 ? options.windows : (shards.tokens() - 1) / sum.context;
  const auto vocabulary = static_cast<std::size_t>(nn::vocabulary_of(model.spec.config));
  const std::size_t most =
      std::clamp<std::size_t>(kMostLogits / (sum.context * vocabulary), 1, kMostRows);
  const Pass pass(context, model, words, shards.pairs());
  std::vector<std::int32_t> windows;
  for (std::uint64_t first = 0; first < sum.windows;) {
    const auto rows = static_cast<std::size_t>(std::min<std::uint64_t>(most, sum.windows - first));
    windows.resize(rows * (sum.context + 1));
    for (std::size_t row = 0; row < rows; ++row) {
      const auto at = data::held_out_position(shards.tokens(), sum.context, first + row);
      ATOLL_TRY(
          shards.read(at, std::span(windows).subspan(row * (sum.context + 1), sum.context + 1)));
    }
    ATOLL_TRY(pass.add(windows, rows, sum));
    first += rows;
  }
  return sum;
}

}  // namespace reef::app
