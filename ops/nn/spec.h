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

/// How tensor-parallel ranks share a parameter out (tensor_rank.h).
struct Sharing {
  enum class Kind : std::uint8_t {
    kCopied,  ///< every rank uses all of it; its gradient is the sum of theirs
    kFirst,   ///< the first rank's alone: what is added once
    kSplit,   ///< along `axis`
  };
  Kind kind = Kind::kCopied;
  std::size_t axis = 0;
  std::int64_t groups = 1;  ///< along the axis, each split by itself: 3 for joined q, k and v
  std::int64_t unit = 1;    ///< what stays together: the channels of a head

  static Sharing copied() { return {}; }
  static Sharing first() { return {Kind::kFirst, 0, 1, 1}; }
  static Sharing split(std::size_t axis, std::int64_t unit = 1, std::int64_t groups = 1) {
    return {Kind::kSplit, axis, groups, unit};
  }
  bool operator==(const Sharing&) const = default;
};

/// Which elements of a published tensor a rank holds: these ranges along the axis, one after the
/// other.
struct Part {
  struct Range {
    std::int64_t first = 0;
    std::int64_t count = 0;
    bool operator==(const Range&) const = default;
  };
  std::vector<std::int64_t> whole;  ///< the published shape
  std::size_t axis = 0;
  std::vector<Range> ranges;
  bool operator==(const Part&) const = default;
};

struct Parameter {
  std::string name;                 ///< as published, "h.0.attn.c_attn.weight"
  std::vector<std::int64_t> shape;  ///< of what is held here
  Init init;
  bool decay = false;                   ///< weight decay applies: rank 2 and more
  ops::DType dtype = ops::DType::kF32;  ///< what layers see of the f32 master
  Sharing sharing = {};
  std::optional<Part> part = {};  ///< none: the published tensor

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
  double forward_flops_per_token = 0;       ///< at the spec's context; backward is twice that
  bool recomputed = false;                  ///< backward is thrice that, and begins with forward
  double stash_bytes_per_token = 0;         ///< what the tape keeps from forward to backward
  double copied_stash_bytes_per_token = 0;  ///< of these, what every tensor-parallel rank keeps
  /// Backward in halves: FLOPs of the gradients of weights, and what is kept for them between the
  /// halves.
  double weight_gradient_flops_per_token = 0;
  double later_bytes_per_token = 0;
  double copied_later_bytes_per_token = 0;

  bool operator==(const Layer&) const = default;
};

/// A participant of tensor parallelism (Shoeybi et al. 2019, arXiv 1909.08053). It holds a part of
/// every layer but the head; what the ranks make of a layer's input adds up to its output, and what
/// they make of the output's gradient to the input's. Of the head's logits each makes some columns.
struct TensorRank {
  std::uint32_t rank = 0;
  std::uint32_t ranks = 1;

  bool is_first() const { return rank == 0; }
  bool operator==(const TensorRank&) const = default;
};

/// Embedding, blocks of attention and feed-forward, head (the last norm and the language-model
/// head, which may be tied to the embedding).
struct ModelSpec {
  ModelConfig config;
  std::vector<Layer> layers;
  ops::DType activations = ops::DType::kF32;  ///< and their gradients, between layers
  TensorRank tensor = {};                     ///< whose parameters and costs these are

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
