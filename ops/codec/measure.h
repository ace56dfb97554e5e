#pragma once
// What codecs do on this processor and to values such as these: the figures that choose() reads.

#include <span>
#include <vector>

#include "ops/codec/choose.h"
#include "runtime/base/clock.h"

namespace reef::codec {

/// Every codec that an edge can have: without zstd, and with its fast level and level 1.
std::vector<Codec> edge_codecs();

/// Encodes and decodes `sample` `rounds` times with each and takes the medians. A sample of a few
/// MiB is enough: blocks are encoded one by one. Thread: any; blocks.
std::vector<Measured> measure(std::span<const float> sample, std::span<const Codec> codecs,
                              const Clock& clock, std::size_t rounds = 3);

}  // namespace reef::codec
