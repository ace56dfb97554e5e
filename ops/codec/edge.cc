#include "ops/codec/edge.h"

#include <array>
#include <charconv>

#include "runtime/base/check.h"

namespace reef::codec {
namespace {

constexpr std::string_view kTopK = "top-k";
constexpr std::string_view kPowerSgd = "power-sgd";
constexpr std::string_view kAuto = "auto";
/// What rounding to bf16 loses of a tensor's length, at most.
constexpr double kBF16Error = 1.0 / 256;

Error unknown(std::string_view text) {
  return {Code::kJobValue, "codec",
          std::string(text.substr(0, 64)) +
              " is not a codec; use none, bf16, fp8, int8 or int4, alone or with +zstd behind it, "
              "top-k:0.01 or power-sgd:4, alone or with such a codec of their values behind it "
              "(top-k:0.01:int4+zstd), or auto:0.01"};
}

std::string_view take_field(std::string_view& rest) {
  const std::size_t colon = rest.find(':');
  const std::string_view field = rest.substr(0, colon);
  rest = colon == std::string_view::npos ? std::string_view() : rest.substr(colon + 1);
  return field;
}

template <typename Number>
bool read_number(std::string_view text, Number& number) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  return error == std::errc() && end == text.data() + text.size();
}

std::string shortest(double number) {
  std::array<char, 32> text;
  const auto end = std::to_chars(text.data(), text.data() + text.size(), number).ptr;
  return {text.data(), end};
}

/// A codec that values of every size survive.
Result<Codec> parse_dense(std::string_view text) {
  ATOLL_ASSIGN(const Codec codec, parse(text));
  if (codec.lossy != Lossy::kInt2) return codec;
  return Error{Code::kJobValue, "codec",
               std::string(text) +
                   " has no zero, and is for values that top-k keeps; use int4, or top-k:0.01:" +
                   std::string(text)};
}

/// "FRACTION" or "FRACTION/CHUNK".
bool read_share(std::string_view text, TopK& codec) {
  const std::size_t slash = std::min(text.find('/'), text.size());
  if (!read_number(text.substr(0, slash), codec.fraction)) return false;
  return slash == text.size() || read_number(text.substr(slash + 1), codec.chunk);
}

Result<EdgeCodec> read_top_k(std::string_view text, std::string_view fields) {
  TopK codec;
  const std::string_view share = take_field(fields);
  const std::string_view fraction = share.substr(0, share.find('/'));
  if (!read_share(share, codec)) return unknown(text);
  if (!(codec.fraction > 0 && codec.fraction <= 1)) {
    return Error{Code::kJobValue, "codec",
                 "top-k keeps " + std::string(fraction) +
                     " of the values; use a fraction over 0 and at most 1"};
  }
  if (fraction != share && (codec.chunk < kLeastChunk || codec.chunk > kMostChunk)) {
    return Error{Code::kJobValue, "codec",
                 "top-k has chunks of " + std::to_string(codec.chunk) + " values; use " +
                     std::to_string(kLeastChunk) + " to " + std::to_string(kMostChunk)};
  }
  if (fields.empty()) return EdgeCodec(codec);
  ATOLL_ASSIGN(codec.values, parse(fields));
  return EdgeCodec(codec);
}

Result<EdgeCodec> read_power_sgd(std::string_view text, std::string_view fields) {
  PowerSgd codec;
  const std::string_view rank = take_field(fields);
  if (!read_number(rank, codec.rank)) return unknown(text);
  if (codec.rank < 1 || codec.rank > kMostRank) {
    return Error{
        Code::kJobValue, "codec",
        "power-sgd has rank " + std::string(rank) + "; use 1 to " + std::to_string(kMostRank)};
  }
  if (fields.empty()) return EdgeCodec(codec);
  ATOLL_ASSIGN(codec.factors, parse_dense(fields));
  return EdgeCodec(codec);
}

Result<EdgeCodec> read_automatic(std::string_view text, std::string_view fields) {
  Automatic codec;
  if (fields.empty()) return EdgeCodec(codec);
  if (!read_number(fields, codec.error)) return unknown(text);
  if (!(codec.error >= 0 && codec.error < 1)) {
    return Error{Code::kJobValue, "codec",
                 "auto may lose " + std::string(fields) +
                     " of a tensor's length; use a fraction from 0 and below 1"};
  }
  return EdgeCodec(codec);
}

struct Name {
  std::string operator()(const Codec& codec) const { return codec::name(codec); }
  std::string operator()(const TopK& codec) const {
    const std::string chunk = codec.chunk == 0 ? "" : "/" + std::to_string(codec.chunk);
    return std::string(kTopK) + ":" + shortest(codec.fraction) + chunk + ":" +
           codec::name(codec.values);
  }
  std::string operator()(const PowerSgd& codec) const {
    return std::string(kPowerSgd) + ":" + std::to_string(codec.rank) + ":" +
           codec::name(codec.factors);
  }
  std::string operator()(const Automatic& codec) const {
    return std::string(kAuto) + ":" + shortest(codec.error);
  }
};

std::size_t elements_of(std::span<const Matrix> parts) {
  std::size_t elements = 0;
  for (const Matrix& part : parts) elements += part.elements();
  return elements;
}

}  // namespace

Result<EdgeCodec> parse_edge(std::string_view text) {
  std::string_view fields = text;
  const std::string_view kind = take_field(fields);
  if (kind == kTopK) return read_top_k(text, fields);
  if (kind == kPowerSgd) return read_power_sgd(text, fields);
  if (kind == kAuto) return read_automatic(text, fields);
  if (!parse(text).ok()) return unknown(text);
  ATOLL_ASSIGN(const Codec stateless, parse_dense(text));
  return EdgeCodec(stateless);
}

std::string name(const EdgeCodec& codec) { return std::visit(Name(), codec); }

Codec first_choice(const Automatic& codec) {
  return {codec.error >= kBF16Error ? Lossy::kBF16 : Lossy::kNone, true};
}

bool has_feedback(const EdgeCodec& codec) {
  return std::holds_alternative<TopK>(codec) || std::holds_alternative<PowerSgd>(codec);
}

bool rounds(const EdgeCodec& codec) {
  if (const auto* plain = std::get_if<Codec>(&codec)) return plain->lossy != Lossy::kNone;
  if (const auto* automatic = std::get_if<Automatic>(&codec)) return automatic->error > 0;
  return true;
}

Matrix matrix_of(std::span<const std::int64_t> shape) {
  if (shape.size() == 2)
    return {static_cast<std::size_t>(shape[0]), static_cast<std::size_t>(shape[1])};
  std::size_t elements = 1;
  for (const std::int64_t extent : shape) elements *= static_cast<std::size_t>(extent);
  return {1, elements};
}

std::size_t warm_elements(const EdgeCodec& codec, std::span<const Matrix> parts) {
  const auto* low_rank = std::get_if<PowerSgd>(&codec);
  if (low_rank == nullptr) return 0;
  std::size_t elements = 0;
  for (const Matrix& part : parts) {
    if (is_thin(*low_rank, part)) elements += low_rank->rank * part.columns;
  }
  return elements;
}

FeedbackCoder::Coder FeedbackCoder::make(const EdgeCodec& codec, std::vector<Matrix> parts) {
  CHECK(has_feedback(codec)) << name(codec);
  if (const auto* sparse = std::get_if<TopK>(&codec)) return TopKCoder(*sparse);
  return PowerSgdCoder(std::get<PowerSgd>(codec), std::move(parts));
}

FeedbackCoder::FeedbackCoder(const EdgeCodec& codec, std::vector<Matrix> parts)
    : elements_(elements_of(parts)), coder_(make(codec, std::move(parts))) {}

Feedback FeedbackCoder::begin() const {
  if (const auto* low_rank = std::get_if<PowerSgdCoder>(&coder_)) return low_rank->begin();
  return {std::vector<float>(elements_), {}};
}

void FeedbackCoder::encode(std::span<const float> values, Feedback& feedback, Bytes& out) {
  if (auto* sparse = std::get_if<TopKCoder>(&coder_)) {
    return sparse->encode(values, std::span(feedback.residual), out);
  }
  std::get<PowerSgdCoder>(coder_).encode(values, feedback, out);
}

Status FeedbackCoder::decode(BytesView encoded, std::span<float> out) {
  return std::visit([&](auto& coder) { return coder.decode(encoded, out); }, coder_);
}

}  // namespace reef::codec
