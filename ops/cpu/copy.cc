#include "ops/cpu/copy.h"

#include <cstring>

#include "ops/cpu/layout.h"
#include "ops/cpu/tiles.h"

namespace reef::ops::cpu {

namespace {

using primitive::Index;
using primitive::Strided;

/// The walk of a tile over its runs along the last axis; operand 0 is read, 1 is written.
class Walk {
 public:
  Walk(const Strided& layout, Index first) : layout_(layout) {
    for (int axis = layout.rank - 1; axis >= 0; --axis) {
      place_[axis] = first % layout.shape[axis];
      first /= layout.shape[axis];
      for (int k = 0; k < 2; ++k) offsets_[k] += place_[axis] * layout.strides[k][axis];
    }
  }

  Index offset(int operand) const { return offsets_[operand]; }
  /// Elements from here to the end of the run.
  Index left() const { return layout_.shape[layout_.rank - 1] - place_[layout_.rank - 1]; }
  /// To the beginning of the next run.
  void next() {
    for (int axis = layout_.rank - 1; axis >= 0; --axis) {
      const bool ends = axis == layout_.rank - 1 || place_[axis] + 1 == layout_.shape[axis];
      const Index step = ends ? -place_[axis] : 1;
      place_[axis] += step;
      for (int k = 0; k < 2; ++k) offsets_[k] += step * layout_.strides[k][axis];
      if (!ends) return;
    }
  }

 private:
  const Strided& layout_;
  Index place_[primitive::kMaxRank] = {};
  Index offsets_[2] = {};
};

template <std::size_t kBytes>
void copy_run(const std::byte* from, Index from_step, std::byte* to, Index to_step, Index count) {
  if (from_step == 1 && to_step == 1) {
    std::memcpy(to, from, static_cast<std::size_t>(count) * kBytes);
    return;
  }
  constexpr auto kSize = static_cast<Index>(kBytes);
  if (from_step == 0 && to_step == 1) {
    std::byte value[kBytes];
    std::memcpy(value, from, kBytes);
    for (Index i = 0; i < count; ++i) std::memcpy(to + i * kSize, value, kBytes);
    return;
  }
  for (Index i = 0; i < count; ++i) {
    std::memcpy(to + i * to_step * kSize, from + i * from_step * kSize, kBytes);
  }
}

template <std::size_t kBytes>
void copy_tile(const Strided& layout, const std::byte* from, std::byte* to, Index first,
               Index count) {
  constexpr auto kSize = static_cast<Index>(kBytes);
  const Index from_step = layout.strides[0][layout.rank - 1];
  const Index to_step = layout.strides[1][layout.rank - 1];
  for (Walk walk(layout, first); count > 0; walk.next()) {
    const Index run = std::min(walk.left(), count);
    copy_run<kBytes>(from + walk.offset(0) * kSize, from_step, to + walk.offset(1) * kSize, to_step,
                     run);
    count -= run;
  }
}

}  // namespace

void copy_elements(Context& context, const Tensor& from, const Tensor& to) {
  CHECK(from.dtype() == to.dtype()) << name_of(from.dtype()) << " to " << name_of(to.dtype());
  const Strided layout = layout_of({&from, 1}, {&to, 1});
  with_element_bytes(to.dtype(), [&](auto bytes) {
    for_tiles(context, to.elements(), kElements, [&](Index first, Index count) {
      copy_tile<bytes()>(layout, from.raw(), to.raw(), first, count);
    });
  });
}

}  // namespace reef::ops::cpu
