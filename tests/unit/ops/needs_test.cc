// A device must have what training launches, and what it need not have is not asked for.

#include "ops/nn/needs.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <set>

#include "ops/cpu/thread_pool.h"
#include "ops/functional/functional.h"
#include "ops/nn/trainer.h"
#include "tests/unit/ops/support.h"

namespace reef::nn {
namespace {

using ops::Op;

class Launched final : public ops::Observer {
 public:
  Launched() { ops::set_observer(this); }
  ~Launched() override { ops::set_observer(nullptr); }
  void launched(Op op, const ops::Call&) override { seen.insert(op); }
  std::set<Op> seen;
};

std::set<Op> launched_by(const ModelConfig& config, Precision precision) {
  ops::ThreadPool cpu(1);
  Trainer trainer(cpu, config, precision, 3);
  const ops::Tensor tokens = ops::testing::integers({2, 16}, "tokens", 61);
  const Launched observer;
  trainer.differentiate(tokens, tokens, 1);
  for (const auto& [name, gradient] : trainer.gradients()) ops::square_sums(cpu, gradient);
  trainer.update({.step = 1});
  return observer.seen;
}

const GptConfig kGpt{.vocab_size = 61,
                     .n_positions = 16,
                     .n_embd = 24,
                     .n_layer = 2,
                     .n_head = 3,
                     .embd_pdrop = 0.1f,
                     .attn_pdrop = 0.1f,
                     .resid_pdrop = 0.1f};
const LlamaConfig kLlama = [] {
  LlamaConfig config;
  config.vocab_size = 61;
  config.max_position_embeddings = 16;
  config.hidden_size = 24;
  config.intermediate_size = 40;
  config.num_hidden_layers = 2;
  config.num_attention_heads = 2;
  config.num_key_value_heads = 2;
  return config;
}();

TEST(Needs, HoldWhatTrainingLaunches) {
  for (const ModelConfig& config : {ModelConfig(kGpt), ModelConfig(kLlama)}) {
    std::set<Op> needed;
    for (const Need& need : needs_of(model_spec(config), false)) needed.insert(need.op);
    for (const Precision precision : {Precision::kF32, Precision::kBF16}) {
      for (const Op op : launched_by(config, precision))
        EXPECT_TRUE(needed.contains(op)) << name_of(op);
    }
  }
}

TEST(Needs, TheProcessorHasAll) {
  for (const ModelConfig& config : {ModelConfig(kGpt), ModelConfig(kLlama)})
    EXPECT_TRUE(check_kernels(ops::Device::kCpu, model_spec(config), true).ok());
}

}  // namespace
}  // namespace reef::nn
