#pragma once
// oneDNN's convolutions in f32, kept by shape.

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>

#include "ops/cpu/onednn/stream.h"

namespace reef::ops::cpu::onednn {

/// Which of its three tensors a convolution writes; the other two are read.
enum class Written : std::uint8_t { kResult, kImage, kWeight };

struct Placed {
  std::array<std::int64_t, 4> extents, strides;  ///< strides in elements, any
  auto operator<=>(const Placed&) const = default;
};

/// What a primitive depends on.
struct ConvolutionKey {
  Written written;
  bool has_bias;  ///< only where the result is written
  Placed image;   ///< (N, C, H, W)
  Placed weight;  ///< (O, C / groups, kh, kw)
  Placed result;  ///< (N, O, H, W)
  std::array<std::int64_t, 2> stride, padding, dilation;
  std::int64_t groups;
  auto operator<=>(const ConvolutionKey&) const = default;
};

struct ConvolutionMemory {
  void* image;
  void* weight;  ///< as pack_weight() left it, where that has something to do
  void* result;
  const void* bias;  ///< (O), or null
};

/// A tensor as it lies and as the kernel wants it.
class Packing {
 public:
  Packing() = default;
  /// `is_written`: what the kernel wrote is brought to where it belongs; else what it reads is
  /// made.
  Packing(const dnnl::memory::desc& given, const dnnl::memory::desc& wanted, bool is_written);

  bool is_written() const { return is_written_; }
  /// Of the kernel's form; 0: it is the given one.
  std::size_t bytes() const { return given_ == wanted_ ? 0 : wanted_.get_size(); }
  /// Copies from one form to the other. Needs bytes() > 0.
  void run(void* given, void* wanted) const;
  dnnl::memory wanted(void* memory) const { return view(wanted_, memory); }

 private:
  dnnl::memory::desc given_, wanted_;
  dnnl::reorder reorder_;
  bool is_written_ = false;
};

/// Thread: any number of threads at once; each call runs on the calling thread alone.
/// Numbers: one order of every sum, given by the key and the instruction set.
class Convolution {
 public:
  static std::shared_ptr<const Convolution> find(const ConvolutionKey& key);

  /// Bytes of a weight that is read, as run() wants it; 0: as it is. It is packed apart from the
  /// rest because many calls share it.
  std::size_t packed_weight_bytes() const { return weight_.is_written() ? 0 : weight_.bytes(); }
  void pack_weight(void* weight, void* packed) const { weight_.run(weight, packed); }

  std::size_t scratch_bytes() const;
  void run(const ConvolutionMemory& memory, std::byte* scratch) const;

 private:
  static std::shared_ptr<const Convolution> make(const ConvolutionKey& key);
  /// Bytes of scratch that a tensor needs for its kernel's form.
  std::size_t bytes_aside(const Packing& packing) const {
    return &packing == &weight_ && !weight_.is_written() ? 0 : packing.bytes();
  }

  dnnl::memory::desc bias_, scratch_;
  Packing image_, weight_, result_;
  dnnl::primitive primitive_;
};

}  // namespace reef::ops::cpu::onednn
