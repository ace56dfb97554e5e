#pragma once
// How long a step of a layout would take by arithmetic alone: which of more layouts than can be
// played in virtual time are worth it.

#include <vector>

#include "ops/nn/spec.h"
#include "scheduler/cost/cost.h"
#include "scheduler/job/job.h"
#include "scheduler/placement/placement.h"
#include "scheduler/topology/topology.h"

namespace reef::plan {

/// Pure; all that it is made of outlives it.
class Promise {
 public:
  /// `workers`: the topology's nodes that compute, with at least one. `spec` is the job's whole
  /// model.
  Promise(const job::Job& job, const topology::Topology& workers, const nn::ModelSpec& spec);

  /// Layers on the slowest of the devices that hold a stage and the pipeline's bubble, or the
  /// activations on a slow line if they take longer; what ranks add up and sharers of sequences
  /// hand round; and then what replicas exchange: in all but the outermost exchanges within a
  /// datacenter. Precondition: placement::shards_fit().
  double seconds(const job::Parallelism& parallelism, placement::Spread spread) const;

 private:
  double layers(const job::Parallelism& p, placement::Spread spread) const;
  double sums(const job::Parallelism& p) const;
  double rings(const job::Parallelism& p) const;
  double exchanges(const job::Parallelism& p, double outer) const;
  double hidden_bytes(std::uint32_t context) const;

  const job::Job& job_;
  const nn::ModelSpec& spec_;
  const cost::Layer all_;  ///< of one leaf
  const double leaves_;
  std::vector<double> speeds_;  ///< of the workers
  double datacenters_ = 1;
  topology::Line near_, far_;  ///< within a datacenter, and across
};

}  // namespace reef::plan
