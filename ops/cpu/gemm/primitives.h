#pragma once
// oneDNN's products of tiles, kept by shape.

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>

#include <dnnl.hpp>

namespace reef::ops::cpu {

/// What a primitive for one tile depends on. Strides are in elements.
struct TileKey {
  bool is_bf16;
  std::int64_t rows, columns, inner;
  std::int64_t a_row_stride, a_column_stride, b_row_stride, b_column_stride, c_row_stride;
  /// Rows of the tile whose packed weights this one shares; its own, or more.
  std::int64_t packed_for_rows;
  auto operator<=>(const TileKey&) const = default;
};

/// The matmul of one tile shape, with the packing of its right operand.
/// Thread: any number of threads at once; each call runs on the calling thread alone.
class TilePrimitive {
 public:
  /// Null when oneDNN refuses or would run its plain reference loops.
  static std::shared_ptr<const TilePrimitive> find(const TileKey& key);

  std::size_t packed_bytes() const { return packed_.get_size(); }
  std::size_t scratch_bytes() const { return scratch_.get_size(); }
  void pack(const void* b, void* packed) const;
  void run(const void* a, const void* packed, void* scratch, float* c) const;

 private:
  TilePrimitive() = default;
  static std::shared_ptr<const TilePrimitive> make(const TileKey& key);

  dnnl::memory::desc a_, b_, packed_, c_, scratch_;
  dnnl::matmul matmul_;
  dnnl::reorder reorder_;
};

}  // namespace reef::ops::cpu
