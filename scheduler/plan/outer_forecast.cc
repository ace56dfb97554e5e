#include "scheduler/plan/outer_forecast.h"

#include <algorithm>

#include "ops/codec/edge.h"
#include "ops/nn/tensor_rank.h"
#include "runtime/base/clock.h"
#include "scheduler/cost/cost.h"

namespace reef::plan {
namespace {

/// Stores look at what has come once a step: at the home, and back.
constexpr double kLooks = 2;

/// All weights, as the codec writes them.
double encoded_bytes(const job::Job& job) {
  double elements = 0;
  std::vector<codec::Matrix> parts;
  for (const nn::Layer& layer : job::spec_of(job).layers) {
    for (const nn::Parameter& parameter : layer.parameters) {
      elements += static_cast<double>(nn::whole_elements(parameter));
      parts.push_back(codec::matrix_of(nn::whole_shape(parameter)));
    }
  }
  return sizeof(float) * elements *
         cost::codec_ratio(job.local_steps->codec, ops::DType::kF32, parts);
}

}  // namespace

OuterForecast forecast_outer(const job::Job& job, const topology::Topology& topology,
                             double step_seconds) {
  const job::Island& island = *job.island;
  const double bytes = encoded_bytes(job);
  const auto inner_steps = static_cast<double>(job.local_steps->inner_steps);
  OuterForecast forecast{{}, inner_steps};
  for (const std::string& other : island.datacenters) {
    const std::string& own = island.datacenters[island.index];
    if (other == own) continue;
    const topology::Line line = topology::line_between(topology, own, other);
    OuterForecast::Way way;
    way.to = other;
    // Progress in fragments whose home is there, and updates of those whose home is here.
    way.bytes = 2 * bytes / island.count();
    way.busy = cost::transfer_seconds(line, way.bytes) / (inner_steps * step_seconds);
    const double there_and_back =
        2 * cost::transfer_seconds(line, bytes / job.local_steps->fragments) +
        seconds(line.round_trip);
    way.delay = kLooks + there_and_back / step_seconds;
    forecast.inner_steps = std::max(forecast.inner_steps, inner_steps * way.busy);
    forecast.ways.push_back(std::move(way));
  }
  return forecast;
}

}  // namespace reef::plan
