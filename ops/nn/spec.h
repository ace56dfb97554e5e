#pragma once
// A model as data: layers, parameters, costs. The planner cuts it, the executor runs it, and
// neither needs a tensor to read it.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "ops/nn/config.h"
#include "ops/tensor/dtype.h"

namespace reef::nn {

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
  std::string name;  ///< as published, "h.0.attn.c_attn.weight"
  std::vector<std::int64_t> shape;
  Init init;
  bool decay = false;                   ///< weight decay applies: rank 2 and more
  ops::DType dtype = ops::DType::kF32;  ///< what layers see of the f32 master

  std::int64_t elements() const;
  bool operator==(const Parameter&) const = default;
};

enum class LayerKind : std::uint8_t { kEmbedding, kAttention, kFeedForward, kHead };

/// Which layers keep only their input for backward, which then computes the rest again (Chen et al.
/// 2016, arXiv 1604.06174).
enum class Recompute : std::uint8_t {
  kNone,
  kSelective,  ///< feed-forward layers, which keep much and cost little
  kFull,       ///< attention, too
};
/// "none", "selective", "full".
std::string_view name_of(Recompute recompute);
std::optional<Recompute> recompute_named(std::string_view name);

struct Layer {
  std::string name;  ///< "embedding", "h.0.attention", "model.layers.0.feed_forward", "head"
  LayerKind kind = LayerKind::kAttention;
  std::int64_t block = 0;  ///< of attention and feed-forward
  std::vector<Parameter> parameters;
  /// Parameters it uses but another layer owns. Each such use has a gradient of its own,
  /// `use_name()`.
  std::vector<std::string> tied;
  double forward_flops_per_token = 0;  ///< at the spec's context; backward is twice that
  bool recomputed = false;             ///< backward is thrice that, and begins with forward
  double stash_bytes_per_token = 0;    ///< what the tape keeps from forward to backward
  /// Backward in halves: FLOPs of the gradients of weights, and what is kept for them between the
  /// halves.
  double weight_gradient_flops_per_token = 0;
  double later_bytes_per_token = 0;

  bool operator==(const Layer&) const = default;
};

/// Embedding, blocks of attention and feed-forward, head (the last norm and the language-model
/// head, which may be tied to the embedding).
struct ModelSpec {
  ModelConfig config;
  std::vector<Layer> layers;
  ops::DType activations = ops::DType::kF32;  ///< and their gradients, between layers

  bool operator==(const ModelSpec&) const = default;
};

/// `context`: tokens of the sequences that the costs are of; 0: the longest. Precondition:
/// problem_of(config) is empty.
ModelSpec model_spec(const ModelConfig& config, Precision precision = Precision::kF32,
                     Recompute recompute = Recompute::kNone, std::int64_t context = 0);
/// Each tied tensor counts once.
std::int64_t parameter_count(const ModelSpec& spec);
/// Whether a layer uses this parameter of another.
bool is_tied(const ModelSpec& spec, std::string_view parameter);

/// The gradient name of the head's use of a tied parameter: "wte.weight" -> "wte.weight@head".
std::string use_name(std::string_view parameter);
/// The parameter behind a gradient name: "wte.weight@head" -> "wte.weight", others unchanged.
std::string_view parameter_of(std::string_view gradient_name);

}  // namespace reef::nn
