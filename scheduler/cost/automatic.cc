#include "scheduler/cost/automatic.h"

#include <array>
#include <vector>

#include "ops/codec/choose.h"
#include "ops/codec/edge.h"
#include "scheduler/cost/cost.h"

namespace reef::cost {
namespace {

/// As measured on the quickstart's pseudo-gradients (`atoll bench codec --all`): bytes of fp32 a
/// second, and what is lost.
struct Usual {
  codec::Codec codec;
  double encode, decode, error;
};

constexpr std::array kUsual{
    Usual{{codec::Lossy::kNone, false}, 19e9, 19e9, 0},
    Usual{{codec::Lossy::kNone, true}, 0.95e9, 1.9e9, 0},
    Usual{{codec::Lossy::kBF16, false}, 9.9e9, 18.7e9, 0.0017},
    Usual{{codec::Lossy::kBF16, true}, 1.3e9, 4.0e9, 0.0017},
    Usual{{codec::Lossy::kFP8, false}, 8.5e9, 10.1e9, 0.026},
    Usual{{codec::Lossy::kFP8, true}, 2.2e9, 2.6e9, 0.026},
    Usual{{codec::Lossy::kInt8, false}, 11.6e9, 17.9e9, 0.0069},
    Usual{{codec::Lossy::kInt8, true}, 2.3e9, 3.1e9, 0.0069},
    Usual{{codec::Lossy::kInt4, false}, 9.6e9, 6.9e9, 0.098},
    Usual{{codec::Lossy::kInt4, true}, 3.1e9, 3.4e9, 0.098},
};

std::vector<codec::Measured> usual(ops::DType dtype) {
  const double of_fp32 = 4.0 / static_cast<double>(ops::size_of(dtype));
  std::vector<codec::Measured> measured;
  for (const Usual& one : kUsual) {
    const std::string name = codec::name(one.codec);
    if (dtype == ops::DType::kBF16 && one.codec.lossy == codec::Lossy::kNone) continue;
    measured.push_back({one.codec, codec_ratio(name, dtype), of_fp32 / one.encode,
                        of_fp32 / one.decode, codec_is_lossy(name, dtype) ? one.error : 0});
  }
  return measured;
}

}  // namespace

std::string expected_codec(std::string_view codec, ops::DType dtype, const topology::Line& line,
                           double bytes, double slots) {
  const auto known = codec::parse_edge(codec);
  const auto* automatic = known.ok() ? std::get_if<codec::Automatic>(&*known) : nullptr;
  const bool rounds = dtype == ops::DType::kF32 || dtype == ops::DType::kBF16;
  if (automatic == nullptr || !rounds) return std::string(codec);
  const auto chosen = codec::choose(usual(dtype), {line.rate, seconds(line.round_trip)},
                                    {bytes, slots, automatic->error});
  return codec::name(chosen ? chosen->codec : codec::first_choice(*automatic));
}

}  // namespace reef::cost
