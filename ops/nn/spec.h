#pragma once
// A model as data: layers, parameters, costs. The planner cuts it, the executor runs it, and
// neither needs a tensor to read it.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "ops/tensor/dtype.h"

namespace reef::nn {

/// GPT-2, in the names of Hugging Face's GPT2Config.
struct GptConfig {
  std::int64_t vocab_size = 256;
  std::int64_t n_positions = 128;
  std::int64_t n_embd = 192;
  std::int64_t n_layer = 4;
  std::int64_t n_head = 6;
  std::int64_t n_inner = 0;  ///< 0: 4 * n_embd
  float layer_norm_epsilon = 1e-5f;
  float embd_pdrop = 0;
  float attn_pdrop = 0;
  float resid_pdrop = 0;
  float initializer_range = 0.02f;

  std::int64_t inner() const { return n_inner > 0 ? n_inner : 4 * n_embd; }
  bool operator==(const GptConfig&) const = default;
};

/// What forward and backward compute in. Masters, moments, gradients of weights, logits and all
/// sums are f32 in any case.
enum class Precision : std::uint8_t {
  kF32,   ///< everything f32
  kBF16,  ///< matrices, embeddings, activations and their gradients bf16; vectors (biases, norms),
          ///< which are small and add up, f32
};
/// "fp32" or "bf16", as descriptors and commands have it.
std::string_view name_of(Precision precision);
std::optional<Precision> precision_named(std::string_view name);

/// How a parameter starts.
struct Init {
  enum class Kind : std::uint8_t { kZeros, kOnes, kNormal };
  Kind kind = Kind::kZeros;
  float std = 0;  ///< kNormal only

  static Init zeros() { return {Kind::kZeros, 0}; }
  static Init ones() { return {Kind::kOnes, 0}; }
  static Init normal(float std) { return {Kind::kNormal, std}; }
  bool operator==(const Init&) const = default;
};

struct Parameter {
  std::string name;  ///< Hugging Face's, "h.0.attn.c_attn.weight"
  std::vector<std::int64_t> shape;
  Init init;
  bool decay = false;                   ///< weight decay applies: rank 2 and more
  ops::DType dtype = ops::DType::kF32;  ///< what layers see of the f32 master

  std::int64_t elements() const;
  bool operator==(const Parameter&) const = default;
};

enum class LayerKind : std::uint8_t { kEmbedding, kBlock, kHead };

struct Layer {
  std::string name;  ///< "embedding", "h.0", "head"
  LayerKind kind = LayerKind::kBlock;
  std::vector<Parameter> parameters;
  /// Parameters it uses but another layer owns. Each such use has a gradient of its own,
  /// `use_name()`.
  std::vector<std::string> tied;
  double forward_flops_per_token = 0;  ///< at n_positions; backward is twice that
  double stash_bytes_per_token = 0;    ///< what the tape keeps from forward to backward
  /// Backward in halves: FLOPs of the gradients of weights, and what is kept for them between the
  /// halves.
  double weight_gradient_flops_per_token = 0;
  double later_bytes_per_token = 0;

  bool operator==(const Layer&) const = default;
};

/// Embedding, n_layer blocks, head (ln_f and the language-model head tied to wte.weight).
struct ModelSpec {
  GptConfig config;
  std::vector<Layer> layers;
  ops::DType activations = ops::DType::kF32;  ///< and their gradients, between layers

  bool operator==(const ModelSpec&) const = default;
};

/// The reason why no model can have this configuration, in one sentence; empty when one can.
std::string problem_of(const GptConfig& config);
/// Precondition: problem_of(config) is empty.
ModelSpec gpt_spec(const GptConfig& config, Precision precision = Precision::kF32);
/// Each tied tensor counts once.
std::int64_t parameter_count(const ModelSpec& spec);

/// The gradient name of the head's use of a tied parameter: "wte.weight" -> "wte.weight@head".
std::string use_name(std::string_view parameter);
/// The parameter behind a gradient name: "wte.weight@head" -> "wte.weight", others unchanged.
std::string_view parameter_of(std::string_view gradient_name);

}  // namespace reef::nn
