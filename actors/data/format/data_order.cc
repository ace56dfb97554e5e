#include "actors/data/format/data_order.h"

#include <algorithm>
#include <bit>

#include "runtime/base/random.h"

namespace reef::data {
namespace {

constexpr std::uint32_t kRounds = 4;

}  // namespace

Result<DataOrder> DataOrder::make(std::uint64_t seed, std::uint64_t tokens, std::uint64_t window,
                                  std::uint64_t global_batch) {
  if (window == 0 || global_batch == 0) {
    return Error{Code::kJobValue, "data", "the window and the global batch must be at least 1"};
  }
  const std::uint64_t windows = tokens == 0 ? 0 : (tokens - 1) / window;
  if (windows == 0) {
    return Error{Code::kData, "data",
                 "the split has " + std::to_string(tokens) + " tokens; one sample needs " +
                     std::to_string(window) + " + 1"};
  }
  DataOrder order;
  const std::uint64_t mixed = seed * 0x9E3779B97F4A7C15ull ^ stable_hash("data/order");
  order.key_ = {static_cast<std::uint32_t>(mixed), static_cast<std::uint32_t>(mixed >> 32)};
  order.window_ = window;
  order.windows_ = windows;
  order.global_batch_ = global_batch;
  order.half_bits_ = std::max(1u, static_cast<unsigned>(std::bit_width(windows - 1) + 1) / 2);
  return order;
}

std::uint64_t DataOrder::position(std::uint64_t step, std::uint64_t sample) const {
  const std::uint64_t number = step * global_batch_ + sample;
  return permute(number / windows_, number % windows_) * window_;
}

std::uint64_t DataOrder::epoch(std::uint64_t step, std::uint64_t sample) const {
  return (step * global_batch_ + sample) / windows_;
}

std::uint64_t DataOrder::permute(std::uint64_t epoch, std::uint64_t index) const {
  CHECK_LT(index, windows_) << "no such window";
  // The network permutes a power of four that holds the windows. Walking its cycle from an index
  // inside comes back inside, at the latest at the index itself, and two walks never meet.
  do {
    index = shuffle(epoch, index);
  } while (index >= windows_);
  return index;
}

std::uint64_t DataOrder::shuffle(std::uint64_t epoch, std::uint64_t value) const {
  const std::uint64_t mask = (std::uint64_t{1} << half_bits_) - 1;
  std::uint64_t left = value >> half_bits_;
  std::uint64_t right = value & mask;
  for (std::uint32_t round = 0; round < kRounds; ++round) {
    const auto words =
        philox({static_cast<std::uint32_t>(right), round, static_cast<std::uint32_t>(epoch),
                static_cast<std::uint32_t>(epoch >> 32)},
               key_);
    const std::uint64_t next = left ^ (words[0] & mask);
    left = right;
    right = next;
  }
  return left << half_bits_ | right;
}

std::uint64_t held_out_position(std::uint64_t tokens, std::uint64_t window, std::uint64_t index) {
  CHECK(window > 0 && tokens > window) << tokens << " tokens, windows of " << window;
  return index % ((tokens - 1) / window) * window;
}

}  // namespace reef::data
