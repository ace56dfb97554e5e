#include "scheduler/cost/quality.h"

#include <algorithm>
#include <cmath>

#include "ops/codec/edge.h"

namespace reef::cost {
namespace {

constexpr double kTextOfLoss = 15;

// Local steps.
constexpr double kTwo = 0.005;          ///< datacenters
constexpr double kOfDatacenters = 1.3;  ///< exponent: 2, 4, 8 of them as in the header
constexpr double kInnerSteps = 30;      ///< that these figures are of
constexpr double kOfInnerSteps = 0.0024;
constexpr double kFreeDelay = 5;
constexpr double kOfDelay = 0.002;
constexpr double kLeast = 0.003;

double loss_of_rounding(codec::Lossy lossy, bool of_islands) {
  switch (lossy) {
    case codec::Lossy::kNone:
      return 0;
    case codec::Lossy::kBF16:
    case codec::Lossy::kFP8:
    case codec::Lossy::kInt8:
      return of_islands ? 0 : 1.2e-4;
    default:
      return of_islands ? 0 : 4.7e-3;
  }
}

}  // namespace

double text_for_loss(double loss) { return kTextOfLoss * loss; }

double loss_of_codec(std::string_view codec, bool of_islands) {
  const auto known = codec::parse_edge(codec);
  const auto* plain = known.ok() ? std::get_if<codec::Codec>(&*known) : nullptr;
  if (plain != nullptr) return loss_of_rounding(plain->lossy, of_islands);
  return of_islands ? 2e-3 : 5e-3;
}

double loss_of_local_steps(const LocalStepsOf& local) {
  if (local.datacenters < 2) return 0;
  const double datacenters = kTwo * std::pow(local.datacenters / 2.0, kOfDatacenters);
  const double inner_steps = kOfInnerSteps * std::log2(local.inner_steps / kInnerSteps);
  const double delay = kOfDelay * std::max(0.0, std::log2(local.delay / kFreeDelay));
  return std::max(kLeast, datacenters + inner_steps) + delay;
}

}  // namespace reef::cost
