#pragma once
// What the user sees of a running job: one line that is redrawn on a terminal, one line now and
// then elsewhere.

#include <cstdint>
#include <optional>
#include <string>

#include "runtime/base/clock.h"
#include "runtime/node/protocol.h"

namespace reef::app {

/// Thread: one.
class ProgressLine {
 public:
  /// `label`: of the job, in front of each line; empty for the only one. `quiet`: prints nothing.
  /// `terminal`: redraws in place.
  ProgressLine(const std::string& label, std::uint64_t steps, bool terminal, bool quiet);

  /// `at`: when it came.
  void update(const node::ProgressReport& report, Time at);
  /// A line of its own that stays: checkpoints, state changes.
  void note(const std::string& text);
  /// Ends the line that is being redrawn.
  void finish();

 private:
  std::string line(const node::ProgressReport& report) const;

  std::string front_;
  std::uint64_t steps_;
  bool terminal_;
  bool quiet_;
  Time started_{};
  Time printed_{};
  std::uint64_t first_step_ = 0;
  std::uint64_t tokens_ = 0;
  std::optional<double> validation_loss_;
  double loss_ = 0;
  bool drawn_ = false;
};

}  // namespace reef::app
