#pragma once
// What a machine could do at best (Williams, Waterman and Patterson 2009, "Roofline"): each kernel
// takes at least its operations at the speed of the best matrix product, or its bytes at the speed
// of the best sweep over memory, whichever is longer.

#include <span>
#include <vector>

#include "ops/catalog/catalog.h"

namespace reef::app {

struct Roofline {
  double flops_per_second = 0;
  double bytes_per_second = 0;  ///< of tensors of a few megabytes, as activations are
};
/// The best of some f32 products and additions on the context's threads; under two seconds.
Roofline measure_roofline(ops::Context& context);

/// Collects the cost of every kernel that runs while it lives. One at a time.
class CostMeter final : public ops::Observer {
 public:
  CostMeter() { ops::set_observer(this); }
  ~CostMeter() override { ops::set_observer(nullptr); }
  CostMeter(const CostMeter&) = delete;
  CostMeter& operator=(const CostMeter&) = delete;

  void launched(ops::Op op, const ops::Call& call) override;
  const std::vector<ops::Cost>& costs() const { return costs_; }

 private:
  std::vector<ops::Cost> costs_;
};

/// The sum over the kernels of what the roofline allows each.
double least_seconds(const Roofline& roofline, std::span<const ops::Cost> costs);

}  // namespace reef::app
