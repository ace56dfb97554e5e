#pragma once
// Who owns which elements of the model where replicas share the optimizer's state out (ZeRO stage
// 1, Rajbhandari et al. 2020). Planner, gradient sync, norm, optimizer, all-gather and checkpointer
// agree through this: a pure function of the model, its cut into stages and buckets and the number
// of replicas.
//
// A parameter is cut into pieces of kPieceElements, which is also the unit of the norm's sums. The
// pieces of a bucket (buckets.h), in the order of names, are dealt to the replicas as runs of about
// as many elements, so that each of them takes part in every exchange, and who has had less of the
// stage's buckets before gets more; where tensor-parallel ranks share the layers, of what a rank
// holds, and parameters that all of them have by themselves, so that in all ranks they have the
// same owner. Without sharing all is the same with one owner, of which each replica is a copy.

#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "ops/catalog/catalog.h"
#include "ops/nn/spec.h"
#include "scheduler/job/job.h"
#include "scheduler/plan/buckets.h"
#include "scheduler/plan/plan.h"

namespace reef::plan {

inline constexpr std::int64_t kPieceElements = ops::kSquareSumPiece;

/// Neighbouring pieces of one parameter with one owner, as a run of its elements in row-major
/// order.
struct Slice {
  std::string parameter;
  std::int64_t first = 0;
  std::int64_t count = 0;
  std::uint32_t owner = 0;
  bool operator==(const Slice&) const = default;
};

/// Pieces of a slice; one sum each in the norm.
std::int64_t pieces_in(const Slice& slice);

/// Whether a replica holds a gradient's slice after so many exchanges of the sync: at exchange k it
/// gives up what belongs to owners that differ from it in bit k. The all-gather of weights runs the
/// exchanges backwards.
bool holds(std::uint32_t replica, const Slice& slice, std::uint32_t exchanges);

class Deal {
 public:
  Deal(const nn::ModelSpec& spec, std::span<const Buckets> stages, std::uint32_t owners);
  /// Of stages of one bucket.
  Deal(const nn::ModelSpec& spec, std::span<const LayerRange> stages, std::uint32_t owners);

  std::uint32_t owners() const { return owners_; }
  /// The owner that a replica is: itself, or the only one.
  std::uint32_t owner(std::uint32_t replica) const { return replica % owners_; }
  /// By first element; empty for a parameter that no bucket has.
  std::span<const Slice> of(std::string_view parameter) const;
  /// Of the parameters that these layers own, by name, then first element.
  std::vector<Slice> of_layers(LayerRange layers) const;
  /// Those of them that a replica's optimizer owns.
  std::vector<Slice> owned(LayerRange layers, std::uint32_t replica) const;

 private:
  std::vector<std::string> names_of(LayerRange layers) const;
  using Elements = std::map<std::string, std::int64_t, std::less<>>;
  /// `had`: elements of each owner before, then after.
  void deal(const std::vector<std::string>& names, const Elements& elements,
            std::vector<double>& had);

  std::vector<std::vector<std::string>> names_;  ///< of the parameters of each layer
  std::uint32_t owners_;
  std::map<std::string, std::vector<Slice>, std::less<>> slices_;
};

/// A slice and the parameter that it is of, as a rank holds it.
struct HeldSlice {
  Slice slice;
  nn::Parameter parameter;
};

/// What a tensor-parallel rank has, and how it is dealt.
struct RankDeal {
  nn::ModelSpec spec;
  Deal deal;

  /// Those that a replica's optimizer of these layers owns.
  std::vector<HeldSlice> held(LayerRange layers, std::uint32_t replica) const;
  /// Those of them that the rank speaks for.
  std::vector<HeldSlice> spoken_for(LayerRange layers, std::uint32_t replica) const;
};

/// Whether the plan shares the optimizer's state out: then it has all-gathers.
bool is_sharded(const Plan& plan);
/// By which a plan's actors of a rank work, `spec` being the rank's.
Deal deal_of(const nn::ModelSpec& spec, const Plan& plan);
/// Of each rank.
std::vector<RankDeal> deals_of(const job::Job& job, const Plan& plan);

}  // namespace reef::plan
