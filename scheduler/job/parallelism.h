#pragma once
// How a model is spread over devices, as a job asks for it. Pure data.

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "ops/nn/spec.h"
#include "runtime/base/error.h"

namespace reef::job {

/// The order in which the stages of a pipeline work on micro-batches.
struct Schedule {
  enum class Kind : std::uint8_t {
    k1F1B,         ///< one forward, one backward (Narayanan et al. 2019, PipeDream)
    kInterleaved,  ///< the same, each device with several ranges of layers (Narayanan et al. 2021)
    kZeroBubble,   ///< gradients of weights fill the gaps (Qi et al. 2023, ZB-H1)
  };
  Kind kind = Kind::k1F1B;
  std::uint32_t stages_per_device = 1;  ///< more than 1 only when interleaved
  bool operator==(const Schedule&) const = default;
};

/// "1f1b", "interleaved:2", "zero-bubble"; kJobValue says what there is.
Result<Schedule> parse_schedule(std::string_view text);
std::string name_of(const Schedule& schedule);

/// "5:3", of copies' micro-batches.
std::string ratio_text(const std::vector<std::uint32_t>& micro_batches);

struct Parallelism {
  enum class Mode : std::uint8_t {
    kManual,  ///< as written here
    kAuto,    ///< the planner chooses all of it
  };
  Mode mode = Mode::kManual;
  std::uint32_t dp = 1;  ///< data parallel: replicas; a power of two that divides the leaves
  std::uint32_t pp = 1;  ///< pipeline parallel: devices that a replica's layers are dealt to
  std::uint32_t tp = 1;  ///< tensor parallel: ranks that share every layer; a power of two
  std::uint32_t cp = 1;  ///< context parallel: ranks that share every sequence; a power of two
  Schedule schedule;
  nn::Recompute recompute = nn::Recompute::kNone;
  std::vector<std::uint32_t> layers;  ///< of each stage; empty: cut by the devices' speeds
  /// Of a round, in each copy of the model, that together take all leaves; empty: equally many.
  std::vector<std::uint32_t> micro_batches;
  /// What replicas share out, instead of copies: 1 the optimizer's state, 2 sums of gradients, too,
  /// 3 also weights, but those of the layers that compute.
  std::uint32_t zero_stage = 0;
  /// Least bytes of gradients that travel together, as neighbouring layers; 0: the planner's.
  std::uint64_t bucket_bytes = 0;
  /// Whether there is something to share out among several.
  bool shares_state() const { return zero_stage > 0 && replicas() > 1; }
  bool shares_gradients() const { return zero_stage > 1 && replicas() > 1; }
  bool shares_weights() const { return zero_stage > 2 && replicas() > 1; }
  /// Who has gradients of tokens of its own, and adds them up with all others.
  std::uint32_t replicas() const { return dp * cp; }
  /// Of a round of so many leaves, in this replica.
  std::uint32_t micro_batches_of(std::uint32_t replica, std::uint32_t leaves) const {
    return micro_batches.empty() ? leaves / dp : micro_batches[replica / cp];
  }
  /// Whether copies take unequally many.
  bool is_uneven() const;
  /// Ranges of layers a replica is cut into.
  std::uint32_t stages() const { return pp * schedule.stages_per_device; }
  bool operator==(const Parallelism&) const = default;
};

}  // namespace reef::job
