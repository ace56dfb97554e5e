#include "scheduler/plan/promise.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "ops/nn/tensor_rank.h"
#include "scheduler/plan/layout.h"
#include "scheduler/plan/stages.h"

namespace reef::plan {
namespace {

using job::Parallelism;
using job::Schedule;
using placement::Spread;

/// A message that is waited for.
double message(const topology::Line& line, double bytes) {
  return cost::transfer_seconds(line, bytes) + 2 * cost::message_seconds(bytes);
}

}  // namespace

Promise::Promise(const job::Job& job, const topology::Topology& workers, const nn::ModelSpec& spec)
    : job_(job),
      spec_(spec),
      all_(cost::range_cost(spec, 0, spec.layers.size(), tokens_per_leaf(job))),
      leaves_(job.training.leaves) {
  const std::string &first = workers.nodes.front().datacenter,
                    &last = workers.nodes.back().datacenter;
  near_ = topology::line_between(workers, first, first);
  far_ = topology::line_between(workers, first, last);
  for (std::size_t i = 0; i < workers.nodes.size(); ++i) {
    const topology::Node& node = workers.nodes[i];
    speeds_.push_back(cost::flops_per_second(node.device, node.threads));
    if (i > 0) datacenters_ += node.datacenter != workers.nodes[i - 1].datacenter;
  }
}

double Promise::seconds(const Parallelism& p, Spread spread) const {
  double work = layers(p, spread);
  double outer = 0;  // exchanges that cross, each replica's over the one line
  if (datacenters_ > 1 && p.dp > 1 && spread == Spread::kReplicas) {
    outer = std::min(std::log2(datacenters_), std::log2(p.dp));
  } else if (datacenters_ > 1) {
    work = std::max(work, leaves_ * cost::transfer_seconds(far_, hidden_bytes(1)));
  }
  return work + sums(p) + rings(p) + exchanges(p, outer);
}

double Promise::layers(const Parallelism& p, Spread spread) const {
  std::vector<double> work;  // of each group, beside the mean
  for (const std::uint32_t count : p.micro_batches) work.push_back(count * p.dp / leaves_);
  const std::vector<double> stages =
      placement::stage_speeds(spread, shards_of(p), speeds_, p.stages(), work);
  const double speed = std::accumulate(stages.begin(), stages.end(), 0.0);
  const double gaps =
      p.schedule.kind == Schedule::Kind::kZeroBubble ? 1.0 / 3 : 1.0 / p.schedule.stages_per_device;
  const double bubble = (p.pp - 1) * gaps * p.dp / leaves_;
  return leaves_ / p.dp * (all_.forward_flops + all_.backward_flops) / p.cp / speed * (1 + bubble);
}

double Promise::sums(const Parallelism& p) const {
  if (p.tp == 1) return 0;
  const double boundaries = 2.0 * static_cast<double>(spec_.layers.size() - 1) / p.pp;
  return leaves_ / p.dp * boundaries * std::log2(p.tp) * message(near_, hidden_bytes(p.cp));
}

double Promise::rings(const Parallelism& p) const {
  if (p.cp == 1) return 0;
  const nn::Heads heads = nn::heads_of(spec_);
  const double both = 2.0 * static_cast<double>(heads.keys * heads.size) *
                      static_cast<double>(tokens_per_leaf(job_)) / p.cp / p.tp;
  const double keys = static_cast<double>(ops::size_of(spec_.activations)) * both;
  const double attentions = static_cast<double>(spec_.layers.size() - 2) / 2 / p.pp;
  return leaves_ / p.dp * attentions *
         (p.cp * message(near_, keys) +
          (p.cp + 1) * (message(near_, keys) + message(near_, 4 * both)));
}

/// Shared out, halves of gradients, then of halves, and the same of weights back; else whole ones,
/// and strips where they cross a line, which are shown as they are.
double Promise::exchanges(const Parallelism& p, double outer) const {
  const double gradients = 4.0 * static_cast<double>(all_.parameters) *
                           cost::codec_ratio(job_.codecs.gradients, ops::DType::kF32);
  const double weights = static_cast<double>(all_.weight_bytes) *
                         cost::codec_ratio(job_.codecs.weights, spec_.activations);
  const double replicas = p.replicas();
  const double inner = std::log2(replicas) - outer;
  const double left = std::exp2(-inner);
  const double shown = outer > 0 ? 4.0 * static_cast<double>(all_.parameters) * (1 - left) : 0;
  const double within =
      p.shares_state() ? (gradients + weights) * (1 - left) : gradients * inner + shown;
  const double across =
      p.shares_state() ? (gradients + weights) * (left - 1.0 / replicas) : gradients * outer * left;
  return cost::transfer_seconds(far_, across * std::max(1.0, replicas / datacenters_)) +
         cost::transfer_seconds(near_, within / p.pp / p.tp);
}

/// Between two layers, of a leaf's sequences or what one of `context` has of them.
double Promise::hidden_bytes(std::uint32_t context) const {
  return static_cast<double>(ops::size_of(spec_.activations)) *
         static_cast<double>(tokens_per_leaf(job_)) / context *
         static_cast<double>(nn::width_of(spec_.config)) *
         cost::codec_ratio(job_.codecs.activations, spec_.activations);
}

}  // namespace reef::plan
