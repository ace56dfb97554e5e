#include "ops/cpu/attention/tiles.h"

#include <algorithm>
#include <cmath>

#include "runtime/base/check.h"

namespace reef::ops::cpu {

std::shared_ptr<std::byte> carve(Pool& pool, std::initializer_list<Piece> pieces) {
  constexpr Index kUnit = Pool::kAlignment / sizeof(float);
  Index total = 0;
  for (const Piece& piece : pieces) total += padded(piece.floats, kUnit);
  std::shared_ptr<std::byte> block = pool.allocate(static_cast<std::size_t>(total) * sizeof(float));
  float* next = reinterpret_cast<float*>(block.get());
  for (const Piece& piece : pieces) {
    *piece.pointer = next;
    next += padded(piece.floats, kUnit);
  }
  return block;
}

Plan::Plan(const AttentionShape& given)
    : shape(given),
      kernels(attention_kernels()),
      element(given.dtype == DType::kF32 ? Element::kF32 : Element::kBF16),
      element_bytes(static_cast<Index>(size_of(given.dtype))),
      scale(given.scale.value_or(1.0f / std::sqrt(static_cast<float>(given.width)))),
      width(padded(given.width, kernels.columns)),
      width_stride(width + kTileSlack) {
  CHECK(given.dtype == DType::kF32 || given.dtype == DType::kBF16) << name_of(given.dtype);
  CHECK(given.width > 0 && given.groups > 0 && given.heads % given.groups == 0)
      << given.heads << " heads of " << given.width << " in " << given.groups << " groups";
  if (given.draw.probability > 0) stream.emplace(dropout_stream(given.draw));
}

Index Plan::visible_keys(Index sample) const {
  Index count = shape.keys;
  if (shape.key_lengths != nullptr) {
    count = std::clamp<Index>(shape.key_lengths[sample], 0, count);
  }
  if (shape.key_mask != nullptr) {
    const bool* mask = shape.key_mask + sample * shape.keys;
    while (count > 0 && !mask[count - 1]) --count;
  }
  return count;
}

ScoreTile Plan::tile(Index first, Index rows, Index key, Index columns) const {
  if (!shape.causal) return {rows, columns, columns};
  return {rows, columns, first + shape.keys - shape.queries + 1 - key};
}

const float* Plan::bias(Index sample, Index key, Index columns, float* bias) const {
  if (shape.key_mask == nullptr) return nullptr;
  const bool* mask = shape.key_mask + sample * shape.keys + key;
  for (Index j = 0; j < columns; ++j) bias[j] = mask[j] ? 0.0f : -kInfinity;
  return bias;
}

TileDropout::TileDropout(const Plan& plan, Index sample, Index head, Index query, Index key) {
  if (!plan.stream) return;
  const AttentionShape& shape = plan.shape;
  dropout_ =
      WeightDropout{{plan.stream->key()[0], plan.stream->key()[1]},
                    shape.draw.probability,
                    shape.draw.first_sample + static_cast<std::uint64_t>(sample),
                    static_cast<std::uint64_t>((head * shape.queries + query) * shape.keys + key),
                    static_cast<std::uint64_t>(shape.keys)};
}

}  // namespace reef::ops::cpu
