#include "scheduler/cost/quality.h"

#include <algorithm>
#include <cmath>

#include "ops/codec/edge.h"

namespace reef::cost {
namespace {

// At the size that the header names: the loss, and what of it more text could take away.
constexpr double kLoss = 2.866;
constexpr double kOfText = 0.693;
constexpr double kExponent = 0.28;
constexpr double kMostText = 1000;

// Local steps.
constexpr double kTwo = 0.0047;         ///< datacenters
constexpr double kOfDatacenters = 1.7;  ///< of how often they double: 2, 4, 8 as in the header
constexpr double kInnerSteps = 30;      ///< that these figures are of
constexpr double kOfInnerSteps = 0.004;
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

double text_for_loss(double loss) {
  const double left = 1 - kLoss * loss / (1 + loss) / kOfText;
  return left > 0 ? std::min(kMostText, std::pow(left, -1 / kExponent) - 1) : kMostText;
}

double loss_of_codec(std::string_view codec, bool of_islands) {
  const auto known = codec::parse_edge(codec);
  const auto* plain = known.ok() ? std::get_if<codec::Codec>(&*known) : nullptr;
  if (plain != nullptr) return loss_of_rounding(plain->lossy, of_islands);
  return of_islands ? 2e-3 : 5e-3;
}

double loss_of_local_steps(const LocalStepsOf& local) {
  if (local.datacenters < 2) return 0;
  const double datacenters = kTwo * std::pow(std::log2(local.datacenters), kOfDatacenters);
  const double inner_steps = kOfInnerSteps * std::log2(local.inner_steps / kInnerSteps);
  const double delay = kOfDelay * std::max(0.0, std::log2(local.delay / kFreeDelay));
  return std::max(kLeast, datacenters + inner_steps) + delay;
}

}  // namespace reef::cost
