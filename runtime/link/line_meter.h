#pragma once
// What a line gives at the moment, seen from what its transport has got through lately: codecs are
// chosen by it while a job runs.

#include <deque>
#include <string>

#include "runtime/link/link.h"

namespace reef::link {

/// Zeros where nothing is known yet, or the transport has no such figures.
struct LineNow {
  double bits_per_second = 0;  ///< while there was something to send, the way to the peer included
  Duration round_trip{};

  bool operator==(const LineNow&) const = default;
};

/// "48.2Mbit/s, 101ms", for people.
std::string format_line(const LineNow& line);

/// Thread: one. Samples may come at any pace; a few a second follow a line that changes.
class LineMeter {
 public:
  /// `stats` of the same transport as before, later.
  void sample(const TransportStats& stats);
  /// Of the last samples in which enough was sent to tell.
  const LineNow& now() const { return now_; }

 private:
  std::deque<TransportStats> samples_;
  LineNow now_;
};

}  // namespace reef::link
