#pragma once
// The way between pageable host memory and a GPU. The driver would copy such memory through a
// buffer of its own and hold the caller meanwhile; a ring of pinned buffers lets the GPU's copy of
// one piece run beside the processor's of the next, and lets copies to the GPU be left behind.

#include <cuda_runtime_api.h>

#include <array>
#include <cstddef>

namespace reef::ops::cuda {

/// A bounded ring of pinned buffers for one stream.
/// Thread: one at a time. Order: that of the stream. Memory: kSlots * kSlotBytes, pinned.
class Staging {
 public:
  static constexpr std::size_t kSlots = 4;
  static constexpr std::size_t kSlotBytes = std::size_t{4} << 20;

  explicit Staging(cudaStream_t stream);
  /// Waits for what is still on its way.
  ~Staging();
  Staging(const Staging&) = delete;
  Staging& operator=(const Staging&) = delete;

  /// `from` may be written again when it returns; `to` is filled in the stream's order.
  void to_device(std::byte* to, const std::byte* from, std::size_t bytes);
  /// `to` is filled when it returns.
  void to_host(std::byte* to, const std::byte* from, std::size_t bytes);

 private:
  struct Slot {
    std::byte* data = nullptr;
    cudaEvent_t used = nullptr;  ///< passes when the last copy that used it is done
  };
  /// The next slot of the ring, once its last copy is done.
  Slot& acquire();

  cudaStream_t stream_;
  std::array<Slot, kSlots> slots_;
  std::size_t next_ = 0;
};

}  // namespace reef::ops::cuda
