#include "runtime/link/channel/window.h"

#include <algorithm>

namespace reef::link {
namespace {

constexpr std::size_t kParts = 4;  // fragments of a window that is not the largest

}  // namespace

std::size_t Window::next() const { return std::min(fragment_, std::max(kLeast, bytes_ / kParts)); }

std::size_t Window::room() const {
  return frames_ == 0 || in_flight_ + next() <= bytes_ ? next() : 0;
}

void Window::left(std::size_t bytes, Duration took) {
  const bool full = in_flight_ + next() > bytes_;
  in_flight_ -= bytes;
  --frames_;
  if (took > kHold) {
    bytes_ = std::max(std::min(kLeast, most_), bytes_ / 2);
  } else if (full && took < kHold / 2) {
    bytes_ = std::min(most_, bytes_ + bytes);
  }
}

}  // namespace reef::link
