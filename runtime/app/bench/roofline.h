#pragma once
// What a machine could do at best (Williams, Waterman and Patterson 2009, "Roofline"): each kernel
// takes at least its operations at the speed of the best matrix product, or its bytes at the speed
// of the best sweep over memory, whichever is longer.

#include <span>
#include <string>
#include <vector>

#include "ops/catalog/catalog.h"
#include "runtime/base/clock.h"

namespace reef::app {

struct Roofline {
  double flops_per_second = 0;
  double bytes_per_second = 0;  ///< of tensors of a few megabytes, as activations are
};
/// The best of some f32 products and additions on the context's threads; under two seconds.
Roofline measure_roofline(ops::Context& context);

/// One kernel that ran.
struct Ran {
  ops::Op op;
  ops::Cost cost;
  double seconds = 0;
};

/// Collects every kernel that runs while it lives. One at a time; on a device whose kernels are
/// done when they return.
class CostMeter final : public ops::Observer {
 public:
  CostMeter() { ops::set_observer(this); }
  ~CostMeter() override { ops::set_observer(nullptr); }
  CostMeter(const CostMeter&) = delete;
  CostMeter& operator=(const CostMeter&) = delete;

  void launched(ops::Op op, const ops::Call& call) override;
  void returned(ops::Op op, const ops::Call& call) override;
  const std::vector<Ran>& ran() const { return ran_; }

 private:
  Time began_{};
  std::vector<Ran> ran_;
};

/// What the roofline allows a kernel.
double least_seconds(const Roofline& roofline, const ops::Cost& cost);

/// The kernels by op, the longest first: calls, seconds, share of all and fraction of the roofline.
std::string profile_of(const Roofline& roofline, std::span<const Ran> ran);

}  // namespace reef::app
