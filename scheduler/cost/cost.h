#pragma once
// What layers and transfers cost, as pure arithmetic. The constants are stated defaults, used until
// a node has measured its own.

#include <cstdint>
#include <span>
#include <string_view>

#include "ops/codec/power_sgd.h"
#include "ops/nn/spec.h"
#include "ops/tensor/dtype.h"
#include "scheduler/topology/topology.h"

namespace reef::cost {

// Of a device whose topology says nothing.
inline constexpr double kFlopsPerThread = 50e9;  ///< fp32, of small layers on one core
inline constexpr double kMemoryBytesPerSecond =
    5e9;  ///< of one pass over gradients, weights or state

// What a message asks of the processor at each of its ends, beside the time on the line (Alexandrov
// et al. 1995, LogGP: the overhead): to cross the threads of a process, and to be sealed or opened
// and copied by the kernel.
inline constexpr double kMessageSeconds = 60e-6;
inline constexpr double kMessageBytesPerSecond = 0.8e9;  ///< encoded

/// One layer and one micro-batch.
struct Layer {
  double forward_flops = 0;
  double backward_flops = 0;
  double weight_gradient_flops = 0;   ///< among those of backward
  std::uint64_t parameters = 0;       ///< elements that it owns
  std::uint64_t tied_parameters = 0;  ///< elements that it uses and another layer owns
  std::uint64_t weight_bytes = 0;     ///< of its parameters as forward sees them
  std::uint64_t tied_weight_bytes = 0;
  std::uint64_t stash_bytes = 0;
  std::uint64_t recomputed_bytes = 0;  ///< what a recomputed layer holds during its backward
  std::uint64_t later_bytes = 0;       ///< between the halves of backward
};

/// `tokens` of a micro-batch. `layer` indexes ModelSpec::layers.
Layer layer_cost(const nn::ModelSpec& spec, std::size_t layer, std::uint64_t tokens);
/// The sum of layers [first, last); of what is recomputed the most, since it is one after the
/// other.
Layer range_cost(const nn::ModelSpec& spec, std::size_t first, std::size_t last,
                 std::uint64_t tokens);

/// What a device with so many compute threads does in a second: what is said of it, else the
/// defaults above; a bandwidth that is not said keeps the defaults' ratio to a speed that is.
double flops_per_second(const topology::Device& device, std::uint32_t threads);
double bytes_per_second(const topology::Device& device);

/// Expected encoded size over raw size, of a message that consists of `parts` (which only power-sgd
/// asks for). bf16 tensors end as fp32 tensors do that were rounded. "auto" counts as what it
/// begins with; automatic.h says what it becomes.
double codec_ratio(std::string_view codec, ops::DType dtype,
                   std::span<const codec::Matrix> parts = {});
/// bf16 rounds fp32 tensors; fp8, int8 and int4 round fp32 and bf16; top-k and power-sgd round
/// fp32, auto what its error allows; of others every bit stays.
bool codec_is_lossy(std::string_view codec, ops::DType dtype);

/// Time that one end of a message is busy with its `bytes`.
double message_seconds(double bytes);
/// Time the line is busy with `bytes`, without the way there.
double transfer_seconds(const topology::Line& line, double bytes);
/// Messages of `bytes` that must be under way to keep the line busy: ceil(rate x round trip /
/// bytes) + 1.
std::uint64_t slots_to_fill(const topology::Line& line, double bytes);

}  // namespace reef::cost
