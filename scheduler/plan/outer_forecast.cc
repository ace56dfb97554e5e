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

/// A store tells no more while so many tellings are not counted
/// (actors/store/local_steps/local_fragment.h).
constexpr double kMostPending = 2;

/// All weights, in f32, and as the codec writes them what is told of them, and of an update what
/// one island has to hear.
struct Weights {
  double bytes = 0, told = 0, update = 0;
};

Weights weights_of(const job::Job& job) {
  Weights weights;
  std::vector<codec::Matrix> parts;
  for (const nn::Layer& layer : job::spec_of(job).layers) {
    for (const nn::Parameter& parameter : layer.parameters) {
      weights.bytes += sizeof(float) * static_cast<double>(nn::whole_elements(parameter));
      parts.push_back(codec::matrix_of(nn::whole_shape(parameter)));
    }
  }
  const codec::EdgeCodec codec = codec::parse_edge(job.local_steps->codec).value();
  const auto encoded = [&](const codec::EdgeCodec& one) {
    return weights.bytes * cost::codec_ratio(codec::name(one), ops::DType::kF32, parts);
  };
  weights.told = encoded(codec);
  const std::uint32_t others = job.island->count() - 1;
  weights.update = weights.told * (job::passes_on(*job.local_steps, others + 1) ? others : 1);
  return weights;
}

/// Passes over a fragment from its telling to its correction, with what its codec does, and as many
/// more for each other island whose telling is added: at its home, and where that is passed on
/// everywhere.
constexpr double kPasses = 14, kPassesForAnother = 4;

/// Of the processors, to tell all fragments once and be corrected, with the work of a home of those
/// whose home is here.
double work_seconds(const job::Job& job, const Weights& weights) {
  const double others = job.island->count() - 1.0, homes = 1.0 / job.island->count();
  const double adding = job::passes_on(*job.local_steps, job.island->count()) ? 1 : homes;
  const double passes = kPasses + adding * kPassesForAnother * others;
  // What is told or updated leaves once for each other island, and comes back.
  const double letters =
      2 * homes * others *
      (cost::message_seconds(weights.told) + cost::message_seconds(weights.update));
  return others == 0 ? 0 : passes * weights.bytes / cost::kMemoryBytesPerSecond + letters;
}

}  // namespace

OuterForecast forecast_outer(const job::Job& job, const topology::Topology& topology,
                             double step_seconds) {
  const job::Island& island = *job.island;
  const Weights weights = weights_of(job);
  const auto inner_steps = static_cast<double>(job.local_steps->inner_steps);
  const double work = work_seconds(job, weights);
  const double soonest = std::max(inner_steps, kLooks / kMostPending);
  OuterForecast forecast{{}, soonest};
  for (const std::string& other : island.datacenters) {
    const std::string& own = island.datacenters[island.index];
    if (other == own) continue;
    const topology::Line line = topology::line_between(topology, own, other);
    OuterForecast::Way way;
    way.to = other;
    // Progress in fragments whose home is there, and updates of those whose home is here.
    way.bytes = (weights.told + weights.update) / island.count();
    way.busy = cost::transfer_seconds(line, way.bytes) / (inner_steps * step_seconds);
    const double fragments = job.local_steps->fragments;
    const double there_and_back = cost::transfer_seconds(line, weights.told / fragments) +
                                  cost::transfer_seconds(line, weights.update / fragments) +
                                  seconds(line.round_trip);
    way.delay = kLooks + there_and_back / step_seconds;
    forecast.inner_steps =
        std::max({forecast.inner_steps, inner_steps * way.busy, way.delay / kMostPending});
    forecast.ways.push_back(std::move(way));
  }
  forecast.step_seconds = step_seconds + work / forecast.inner_steps;
  forecast.utilisation = (step_seconds + work / soonest) / forecast.step_seconds;
  return forecast;
}

}  // namespace reef::plan
