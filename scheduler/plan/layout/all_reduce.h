#pragma once
// Where tensor-parallel ranks add up what each has made: one all-reduce actor a rank.

#include <string>
#include <vector>

#include "scheduler/plan/layout/frame.h"

namespace reef::plan {

struct Summands {
  std::string name;  ///< of what is added: "hidden.r0.s1.l2"
  Content content = Content::kActivation;
  std::uint32_t tokens = 1;
  std::uint64_t bytes = 0;
  ops::DType dtype = ops::DType::kF32;
  std::uint32_t slots = 1;       ///< of the sum
  std::vector<ActRef> from, to;  ///< by rank
};

/// Recursive doubling over the ranks of a replica's stage; all get the same bits. To another
/// datacenter it goes in strips. `place`'s rank does not count.
void connect_all_reduce(Frame& frame, Place place, const Summands& summands);

}  // namespace reef::plan
