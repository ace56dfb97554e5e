#include "actors/wire/codec_choice.h"

#include <algorithm>

#include "ops/codec/bf16.h"
#include "ops/codec/measure.h"

namespace reef::actors {
namespace {

constexpr std::uint64_t kMeasureEvery = 100;
/// A sample is pieces from all over a message: its tensors differ.
constexpr std::size_t kPieces = 16;
constexpr std::size_t kPiece = codec::kBlockElements / kPieces;

float value_at(const ops::Tensor& tensor, std::size_t i) {
  return tensor.dtype() == ops::DType::kF32
             ? tensor.values<float>()[i]
             : codec::from_bf16(reinterpret_cast<const std::uint16_t*>(tensor.bytes().data())[i]);
}

std::vector<float> sample_of(std::span<const ops::Tensor> tensors) {
  std::size_t total = 0;
  for (const ops::Tensor& tensor : tensors) total += static_cast<std::size_t>(tensor.elements());
  const std::size_t step = std::max(kPiece, total / kPieces);
  std::vector<float> sample;
  std::size_t begin = 0;
  for (const ops::Tensor& tensor : tensors) {
    const auto end = begin + static_cast<std::size_t>(tensor.elements());
    // Pieces are [n step, n step + kPiece) of the run of all tensors.
    for (std::size_t i = begin; i < end;) {
      const std::size_t inside = i % step;
      if (inside >= kPiece) {
        i += step - inside;
        continue;
      }
      sample.push_back(value_at(tensor, i++ - begin));
    }
    begin = end;
  }
  return sample;
}

/// Nothing is left to round to bf16 in what is bf16, and fp32 would only double it.
std::vector<codec::Codec> codecs_for(ops::DType dtype) {
  std::vector<codec::Codec> codecs = codec::edge_codecs();
  if (dtype == ops::DType::kBF16)
    std::erase_if(codecs, [](auto codec) { return codec.lossy == codec::Lossy::kNone; });
  return codecs;
}

}  // namespace

CodecChoice::CodecChoice(codec::Automatic codec, const plan::Edge& wire, const Clock& clock)
    : needs_{static_cast<double>(wire.bytes * sizeof(float) / ops::size_of(wire.dtype)),
             static_cast<double>(wire.slots), codec.error},
      codec_(codec::first_choice(codec)),
      dtype_(wire.dtype),
      clock_(clock) {}

std::vector<codec::Candidate> CodecChoice::candidates(ops::Context& context,
                                                      const link::LineNow& line,
                                                      std::span<const ops::Tensor> tensors) {
  if (asked_++ % kMeasureEvery == 0) {
    std::vector<ops::Tensor> here;
    for (const ops::Tensor& tensor : tensors) here.push_back(on_host(context, tensor));
    measured_ = codec::measure(sample_of(here), codecs_for(dtype_), clock_, 1);
  }
  const bool known = line.bits_per_second > 0;
  const codec::LineMeasured now{known ? line.bits_per_second : 1, seconds(line.round_trip)};
  std::vector<codec::Candidate> candidates;
  for (const codec::Measured& one : measured_) {
    candidates.push_back(codec::candidate(one, now, needs_));
    if (!known) candidates.back().seconds = 0;
  }
  return candidates;
}

bool CodecChoice::decide(std::span<const codec::Candidate> candidates) {
  const auto unknown = [](const codec::Candidate& one) { return !(one.seconds > 0); };
  if (std::ranges::all_of(candidates, unknown)) return false;
  const auto chosen = codec::choose(candidates, needs_.largest_error, codec_);
  if (!chosen || *chosen == codec_) return false;
  codec_ = *chosen;
  return true;
}

}  // namespace reef::actors
