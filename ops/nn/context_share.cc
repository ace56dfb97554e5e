#include "ops/nn/context_share.h"

#include "runtime/base/check.h"

namespace reef::nn {

namespace {

bool drops(const ModelConfig& config) {
  const auto* gpt = std::get_if<GptConfig>(&config);
  return gpt != nullptr && (gpt->embd_pdrop > 0 || gpt->attn_pdrop > 0 || gpt->resid_pdrop > 0);
}

std::string count_of(std::int64_t count, const char* noun) {
  return std::to_string(count) + " " + noun + (count == 1 ? "" : "s");
}

}  // namespace

std::vector<ops::Run> ContextShare::runs(std::int64_t tokens) const {
  CHECK(ranks >= 1 && rank >= 0 && rank < ranks) << rank << " of " << ranks;
  if (is_whole()) return {{0, tokens}};
  CHECK_EQ(tokens % (2 * ranks), 0);
  const std::int64_t chunk = tokens / (2 * ranks);
  const std::int64_t late = 2 * ranks - 1 - rank;
  if (late == rank + 1) return {{rank * chunk, 2 * chunk}};
  return {{rank * chunk, chunk}, {late * chunk, chunk}};
}

std::string problem_of_context(const ModelConfig& config, std::int64_t ranks, std::int64_t tokens) {
  constexpr std::int64_t kMost = std::int64_t{1} << 20;  // far above any, and twice it is a number
  if (ranks < 1 || ranks > kMost) return "the ranks that share a sequence must be in 1..2^20";
  if (ranks == 1) return "";
  if (tokens < 2 * ranks || tokens % (2 * ranks) != 0) {
    return "a sequence of " + count_of(tokens, "token") +
           " cannot be cut into two equal chunks for " + "each of " + std::to_string(ranks) +
           " ranks; make it a multiple of " + std::to_string(2 * ranks) +
           " tokens long, or let fewer ranks share it";
  }
  // What is dropped depends on the place in the whole sequence, and a rank draws for its own part.
  if (drops(config)) {
    return "ranks that share a sequence cannot drop out; set attn_pdrop, embd_pdrop and " +
           std::string("resid_pdrop to 0, or let one rank have the whole sequence");
  }
  return "";
}

}  // namespace reef::nn
