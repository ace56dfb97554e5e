#pragma once
// Where error feedback is at work in a plan, and under what names a checkpoint keeps what it
// remembers. Gradient sync, which remembers, and checkpointer, which writes, agree through this.

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "ops/nn/spec.h"
#include "ops/tensor/shape.h"
#include "scheduler/plan/buckets.h"
#include "scheduler/plan/plan.h"
#include "scheduler/plan/sync_steps.h"

namespace reef::actors {

/// One act of a gradient sync that gives something away through a codec with feedback.
struct Exchange {
  std::size_t act = 0;
  std::size_t output = 0;  ///< the port behind which the codec is: kept, or tied reduced
  bool tied = false;       ///< of the gradients of tied uses only
  std::string codec;
  /// "r0.k1": by the first of the replicas that have summed alike, who remember alike; with
  /// ".1of2" behind it if of a strip of each gradient; or "tied".
  std::string name;
  bool saved = false;  ///< by this replica
  std::uint32_t strips = 1;
  plan::Strip strip{0, 1};
};

/// Those of one gradient sync, in the order of its acts.
std::vector<Exchange> exchanges_of(const plan::Plan& plan, const plan::Actor& sync);

/// The gradients that an exchange gives away, in order.
struct Gradient {
  std::string name;
  ops::Shape shape;
};
std::vector<Gradient> gradients_of(const nn::ModelSpec& model, const plan::Actor& sync, bool tied);
std::vector<Gradient> gradients_of(const nn::ModelSpec& model, plan::LayerRange layers, bool tied);
/// What of them the exchange is of.
std::vector<Gradient> gradients_of(const nn::ModelSpec& model, const plan::Actor& sync,
                                   const Exchange& exchange);
/// The shape of a gradient's part in these of `strips`, and where in it that begins.
ops::Shape part_of(const ops::Shape& gradient, std::uint32_t strips, plan::Strip held);
std::int64_t first_of(const ops::Shape& gradient, std::uint32_t strips, plan::Strip held);

/// Of what PowerSGD remembers beside the residual.
std::size_t warm_elements(const std::vector<Gradient>& gradients, const Exchange& exchange);

/// The gradient syncs that save something, in the order of the checkpointer's ports behind the
/// stages' parts: by replica, then by stage and bucket.
std::vector<const plan::Actor*> remembering(const plan::Plan& plan);

/// The tensors of one saved exchange in a checkpoint: a residual a gradient, then what PowerSGD
/// begins with, as one vector, if there is any.
std::string residual_name(const Gradient& gradient, const Exchange& exchange);
/// The strips of a gradient that a residual of this name is of; Failure: kCheckpoint.
Result<Exchange> exchange_named(std::string_view residual);
std::string warm_name(const plan::Plan& plan, const plan::Actor& sync, const Exchange& exchange);

/// Says of a checkpoint which plan's exchanges it remembers: only the same one goes on with them as
/// they are. Null without any.
nlohmann::json feedback_signature(const plan::Plan& plan);

}  // namespace reef::actors
