#pragma once
// One byte plane of one block, with zstd where it pays. Private to ops/codec.

#include <cstddef>

#include "ops/codec/codec.h"
#include "runtime/base/bytes.h"
#include "runtime/base/error.h"

namespace reef::codec {

/// mode and length.
inline constexpr std::size_t kPlaneHeader = 1 + 4;
inline constexpr std::size_t kMaxPlanes = 4;

/// Working memory of one thread: the planes of one block, kBlockElements apart. Never freed while
/// the thread lives, so the steady state allocates nothing.
std::byte* plane_scratch();

/// How hard zstd's level 0 looks for repetitions.
enum class Content {
  kFloats,  ///< hardly: exponents and codes repeat in frequency, not in sequence
  kAny,     ///< as level 1
};

/// Writes header and content to `to`, which has room for kPlaneHeader + plane.size(); returns the
/// end. `level` as in Codec.
std::byte* write_plane(Content content, int level, BytesView plane, std::byte* to);

/// Takes one plane of exactly `size` bytes off the front of `encoded`. The result lies in `encoded`
/// when it was stored raw, otherwise in `scratch` (room for `size`).
Result<const std::byte*> read_plane(BytesView& encoded, std::size_t size, std::byte* scratch);

}  // namespace reef::codec
