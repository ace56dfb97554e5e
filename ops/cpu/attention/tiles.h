#pragma once
// What the forward and the backward pass share: extents of tiles, scratch, who sees whom.

#include <algorithm>
#include <initializer_list>
#include <limits>
#include <memory>
#include <optional>
#include <type_traits>

#include "ops/cpu/attention/attention.h"
#include "ops/cpu/isa/attention.h"
#include "runtime/base/check.h"

namespace reef::ops::cpu {

inline constexpr float kInfinity = std::numeric_limits<float>::infinity();
/// Tasks worth having for any number of cores; fewer make the work be cut finer.
inline constexpr Index kEnoughTasks = 32;

inline Index tiles_of(Index extent, Index tile) { return (extent + tile - 1) / tile; }
inline Index padded(Index extent, Index unit) { return tiles_of(extent, unit) * unit; }

struct Piece {
  float** pointer;
  Index floats;
};
/// One block of the pool for all pieces of scratch, whose pointers it sets.
std::shared_ptr<std::byte> carve(Pool& pool, std::initializer_list<Piece> pieces);

/// A shape with what follows from it.
struct Plan {
  const AttentionShape& shape;
  const AttentionKernels& kernels;
  Element element;
  Index element_bytes;
  float scale;
  Index width;         ///< of a head, padded to the kernels' columns
  Index width_stride;  ///< of a tile's rows of `width`
  std::optional<Random> stream;

  explicit Plan(const AttentionShape& shape);

  template <typename T>
  auto* at(const Strided<T>& view, Index sample, Index time, Index head) const {
    using Byte = std::conditional_t<std::is_const_v<T>, const std::byte, std::byte>;
    return static_cast<Byte*>(view.data) +
           (sample * view.sample + time * view.time + head * view.head) * element_bytes;
  }
  /// Keys of a sample from which on none is visible.
  Index visible_keys(Index sample) const;
  /// Queries [first, first + rows) against keys [key, key + columns).
  ScoreTile tile(Index first, Index rows, Index key, Index columns) const;
  /// Fills `bias` for the keys of a tile; null when the sample has no mask.
  const float* bias(Index sample, Index key, Index columns, float* bias) const;
};

/// A tile's dropout, in the form that the kernels take.
class TileDropout {
 public:
  TileDropout(const Plan& plan, Index sample, Index head, Index query, Index key);
  const WeightDropout* get() const { return dropout_ ? &*dropout_ : nullptr; }

 private:
  std::optional<WeightDropout> dropout_;
};

}  // namespace reef::ops::cpu
