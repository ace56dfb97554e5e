#include "ops/autograd/functions.h"
#include "ops/autograd/functions/composite.h"
#include "ops/nn/pass.h"

namespace reef::nn {

using ops::Draw;
using ops::Variable;

namespace {

class Gpt {
 public:
  Gpt(Pass& pass, const GptConfig& config) : pass_(pass), config_(config) {}

  Variable embed(const Variable& tokens) {
    const Variable x = ops::embedding(pass_.context, pass_.tape, tokens.value,
                                      pass_.leaf("wte.weight"), pass_.leaf("wpe.weight"));
    return dropout(x, pass_.draw(config_.embd_pdrop, 0));
  }

  Variable block(const Variable& x, const std::string& name, std::uint64_t index) {
    const std::uint64_t first_draw = 1 + 3 * index;
    Variable a = ops::norm_linear(pass_.context, pass_.tape, x, norm(name + ".ln_1"),
                                  linear(name + ".attn.c_attn"));
    a = ops::attention(pass_.context, pass_.tape, a, config_.n_head,
                       pass_.draw(config_.attn_pdrop, first_draw));
    const ops::LinearLeaves projection = linear(name + ".attn.c_proj");
    const Draw after_attention = pass_.draw(config_.resid_pdrop, first_draw + 1);
    const Draw after_mlp = pass_.draw(config_.resid_pdrop, first_draw + 2);
    if (after_attention.probability <= 0) {
      const Variable middle =
          ops::linear_residual(pass_.context, pass_.tape, a, projection.weight, projection.bias, x);
      return ops::residual_mlp(pass_.context, pass_.tape, middle, norm(name + ".ln_2"),
                               linear(name + ".mlp.c_fc"), linear(name + ".mlp.c_proj"));
    }
    a = dropout(product(a, projection), after_attention);
    const Variable middle = ops::add(pass_.context, pass_.tape, x, a);
    Variable m = ops::norm_linear(pass_.context, pass_.tape, middle, norm(name + ".ln_2"),
                                  linear(name + ".mlp.c_fc"));
    m = ops::gelu(pass_.context, pass_.tape, m);
    m = dropout(product(m, linear(name + ".mlp.c_proj")), after_mlp);
    return ops::add(pass_.context, pass_.tape, middle, m);
  }

  Variable head(const Variable& x) {
    const Variable table = pass_.tied_leaf("wte.weight");
    return ops::norm_project(pass_.context, pass_.tape, x, norm("ln_f"), table);
  }

 private:
  ops::NormLeaves norm(const std::string& name) {
    return {pass_.leaf(name + ".weight"), pass_.leaf(name + ".bias"), config_.layer_norm_epsilon};
  }
  ops::LinearLeaves linear(const std::string& name) {
    return {pass_.leaf(name + ".weight"), pass_.leaf(name + ".bias")};
  }
  Variable product(const Variable& x, const ops::LinearLeaves& leaves) {
    return ops::linear(pass_.context, pass_.tape, x, leaves.weight, leaves.bias);
  }
  Variable dropout(const Variable& x, const Draw& draw) {
    return ops::dropout(pass_.context, pass_.tape, x, draw);
  }

  Pass& pass_;
  const GptConfig& config_;
};

}  // namespace

Variable gpt_forward(Pass& pass, const GptConfig& config, const Layer& layer, std::size_t index,
                     const Variable& x) {
  Gpt gpt(pass, config);
  switch (layer.kind) {
    case LayerKind::kEmbedding:
      return gpt.embed(x);
    case LayerKind::kBlock:
      return gpt.block(x, layer.name, index - 1);  // layer 0 is the embedding
    case LayerKind::kHead:
      break;
  }
  return gpt.head(x);
}

}  // namespace reef::nn
