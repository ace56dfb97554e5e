#pragma once
// How much of a channel's messages one stream is handed at a time.

#include <cstddef>

#include "runtime/base/clock.h"

namespace reef::link {

/// As much as the stream sends within kHold: what it was handed waits for it alone, while streams
/// that are faster have nothing left of the same message, and urgent messages wait behind it. One
/// fragment is handed to a stream however slow; what its transport holds keeps it busy until the
/// next. Thread: one.
class Window {
 public:
  static constexpr std::chrono::milliseconds kHold{20};
  /// Smaller fragments would spend the line on their headers.
  static constexpr std::size_t kLeast = 16 * 1024;

  /// `fragment`: bytes of the largest; `fragments` of these are handed at most.
  Window(std::size_t fragment, std::size_t fragments)
      : fragment_(fragment), most_(fragment * fragments), bytes_(most_) {}

  /// Bytes of the next fragment at most; 0 while enough was handed.
  std::size_t room() const;
  void handed(std::size_t bytes) { in_flight_ += bytes, ++frames_; }
  /// A fragment has left, so long after it was handed.
  void left(std::size_t bytes, Duration took);

  std::size_t in_flight() const { return in_flight_; }
  bool idle() const { return frames_ == 0; }

 private:
  std::size_t next() const;

  std::size_t fragment_;
  std::size_t most_;
  std::size_t bytes_;
  std::size_t in_flight_ = 0;
  std::size_t frames_ = 0;
};

}  // namespace reef::link
