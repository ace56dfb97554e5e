#include <numeric>

#include "ops/autograd/functions.h"
#include "ops/autograd/functions/composite.h"
#include "ops/functional/functional.h"
#include "ops/nn/pass.h"

namespace reef::nn {

using ops::Draw;
using ops::Variable;

namespace {

class Gpt {
 public:
  Gpt(Pass& pass, const GptConfig& config) : pass_(pass), config_(config) {}

  Variable embed(const Variable& tokens, const Parameter& table) {
    if (table.part) return embed_part(tokens.value, table);
    const Variable x = ops::embedding(pass_.context, pass_.tape, tokens.value,
                                      pass_.leaf("wte.weight"), positions(tokens.value.shape()[1]));
    return dropout(x, pass_.draw(config_.embd_pdrop, 0));
  }

  Variable attention(const Variable& x, std::int64_t block) {
    const Variable a = attend(open(x, block), block);
    return close(a, x, block);
  }
  Variable open(const Variable& x, std::int64_t block) {
    const std::string name = "h." + std::to_string(block);
    return ops::norm_linear(pass_.context, pass_.tape, x, norm(name + ".ln_1"),
                            linear(name + ".attn.c_attn"));
  }
  Variable close(const Variable& a, const Variable& x, std::int64_t block) {
    const std::string name = "h." + std::to_string(block) + ".attn.c_proj";
    if (!pass_.tensor.is_first()) {
      return ops::linear(pass_.context, pass_.tape, a, pass_.leaf(name + ".weight"), {});
    }
    const ops::LinearLeaves projection = linear(name);
    const Draw dropped = block_draw(config_.resid_pdrop, block, 1);
    if (dropped.probability <= 0) {
      return ops::linear_residual(pass_.context, pass_.tape, a, projection.weight, projection.bias,
                                  x);
    }
    return ops::add(pass_.context, pass_.tape, x, dropout(product(a, projection), dropped));
  }

  Variable feed_forward(const Variable& x, std::int64_t block) {
    const std::string name = "h." + std::to_string(block);
    if (!pass_.tensor.is_first()) {
      return ops::mlp(pass_.context, pass_.tape, x, norm(name + ".ln_2"),
                      linear(name + ".mlp.c_fc"), pass_.leaf(name + ".mlp.c_proj.weight"));
    }
    const Draw dropped = block_draw(config_.resid_pdrop, block, 2);
    if (dropped.probability <= 0) {
      return ops::residual_mlp(pass_.context, pass_.tape, x, norm(name + ".ln_2"),
                               linear(name + ".mlp.c_fc"), linear(name + ".mlp.c_proj"));
    }
    Variable m = ops::norm_linear(pass_.context, pass_.tape, x, norm(name + ".ln_2"),
                                  linear(name + ".mlp.c_fc"));
    m = ops::gelu(pass_.context, pass_.tape, m);
    m = dropout(product(m, linear(name + ".mlp.c_proj")), dropped);
    return ops::add(pass_.context, pass_.tape, x, m);
  }

  Variable head(const Variable& x) {
    const Variable table = pass_.tied_leaf("wte.weight");
    return ops::norm_project(pass_.context, pass_.tape, x, norm("ln_f"), table);
  }

 private:
  Variable attend(const Variable& qkv, std::int64_t block) {
    const std::int64_t heads = qkv.value.shape()[2] / (3 * (config_.n_embd / config_.n_head));
    return ops::attention(pass_.context, pass_.tape, qkv, heads,
                          block_draw(config_.attn_pdrop, block, 0));
  }
  /// Each token's row comes from the rank that holds it, its position from the first.
  Variable embed_part(const ops::Tensor& tokens, const Parameter& table) {
    const Variable x = embed_held(pass_, table, tokens);
    if (!pass_.tensor.is_first()) return x;
    ops::Tensor places =
        ops::Tensor::empty(ops::Pool::host(), ops::DType::kI32, {1, tokens.shape()[1]});
    const auto place = places.values<std::int32_t>();
    std::iota(place.begin(), place.end(), 0);
    return ops::add(pass_.context, pass_.tape, x,
                    ops::embedding(pass_.context, pass_.tape, ops::to_device(pass_.context, places),
                                   positions(tokens.shape()[1])));
  }
  /// Rows of the table for `length` tokens: those of the places where they stand.
  Variable positions(std::int64_t length) {
    const Variable table = pass_.leaf("wpe.weight");
    if (pass_.sample.from_the_start()) return table;
    return ops::take_runs(pass_.context, pass_.tape, table, 0, pass_.positions(length));
  }

  ops::NormLeaves norm(const std::string& name) {
    return {pass_.leaf(name + ".weight"), pass_.leaf(name + ".bias"), config_.layer_norm_epsilon};
  }
  ops::LinearLeaves linear(const std::string& name) {
    return {pass_.leaf(name + ".weight"), pass_.leaf(name + ".bias")};
  }
  Variable product(const Variable& x, const ops::LinearLeaves& leaves) {
    return ops::linear(pass_.context, pass_.tape, x, leaves.weight, leaves.bias);
  }
  /// The embedding has the first draw, each block three.
  Draw block_draw(float probability, std::int64_t block, std::uint64_t index) const {
    return pass_.draw(probability, 1 + 3 * static_cast<std::uint64_t>(block) + index);
  }
  Variable dropout(const Variable& x, const Draw& draw) {
    return ops::dropout(pass_.context, pass_.tape, x, draw);
  }

  Pass& pass_;
  const GptConfig& config_;
};

}  // namespace

Variable gpt_forward(Pass& pass, const GptConfig& config, const Layer& layer, const Variable& x) {
  Gpt gpt(pass, config);
  switch (layer.kind) {
    case LayerKind::kEmbedding:
      return gpt.embed(x, layer.parameters.front());
    case LayerKind::kAttention:
      return gpt.attention(x, layer.block);
    case LayerKind::kFeedForward:
      return gpt.feed_forward(x, layer.block);
    case LayerKind::kHead:
      break;
  }
  return gpt.head(x);
}

Variable gpt_open(Pass& pass, const GptConfig& config, const Layer& layer, const Variable& x) {
  const Variable packed = Gpt(pass, config).open(x, layer.block);
  const ops::Shape& shape = packed.value.shape();
  const std::int64_t width = config.n_embd / config.n_head;
  return ops::reshape(pass.context, pass.tape, packed,
                      {shape[0], shape[1], shape[2] / width, width});
}

Variable gpt_close(Pass& pass, const GptConfig& config, const Layer& layer,
                   const Variable& attended, const Variable& x) {
  const ops::Shape& shape = attended.value.shape();
  const Variable joined =
      ops::reshape(pass.context, pass.tape, attended, {shape[0], shape[1], shape[2] * shape[3]});
  return Gpt(pass, config).close(joined, x, layer.block);
}

}  // namespace reef::nn
