#pragma once
// What a node computes on and how fast that is, as a topology says it and a plan carries it.

#include "runtime/base/device_name.h"

namespace reef::topology {

/// What a device does in a second, stated or measured. Zero: not said, so the cost model's defaults
/// hold; a stated speed without a bandwidth has the default's ratio of the two.
struct Device {
  double speed = 0;      ///< FLOP/s
  double bandwidth = 0;  ///< bytes/s of its memory
  /// It computes really and then waits until this speed would have taken as long, so that one
  /// machine can play slower ones. Needs a speed.
  bool paced = false;
  DeviceName name = {};
  bool operator==(const Device&) const = default;
};

}  // namespace reef::topology
