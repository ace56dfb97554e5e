#include "actors/teach/speech.h"

#include <algorithm>
#include <bit>
#include <cmath>

#include "runtime/base/check.h"

namespace reef::actors {
namespace {

// struct Ask { f32 temperature; u16 top_k; u8 values; u8 zero; u32 count; u32 lengths[count];
//              token tokens[]; };            token: u16, or u32 of a vocabulary over 65,536
// struct Position { token tokens[top_k]; value values[top_k]; };     value: u8, or bf16

constexpr std::size_t kHead = 12;
constexpr float kSteps = 16;       // of a nat, in a byte
constexpr float kLeastLog = -1e4;  // what a bf16 may say of a token that never comes

std::size_t token_size(std::int64_t vocabulary) { return vocabulary <= 65'536 ? 2 : 4; }

template <typename T>
void put(Bytes& to, T value) {
  to.resize(to.size() + sizeof value);
  store(to.data() + to.size() - sizeof value, value);
}

void put_token(Bytes& to, std::int32_t token, std::int64_t vocabulary) {
  if (token_size(vocabulary) == 2) return put(to, static_cast<std::uint16_t>(token));
  put(to, static_cast<std::uint32_t>(token));
}

/// Over every vocabulary where it does not fit.
std::int64_t token_at(const std::byte* from, std::size_t size) {
  return size == 2 ? std::int64_t{load<std::uint16_t>(from)} : load<std::uint32_t>(from);
}

Error refuse(const std::string& what) { return Error{Code::kProto, "letter", what}; }

std::uint16_t to_bf16(float value) {
  const auto bits = std::bit_cast<std::uint32_t>(value);
  return static_cast<std::uint16_t>((bits + 0x7fffu + (bits >> 16 & 1u)) >> 16);
}
float from_bf16(std::uint16_t bits) {
  return std::bit_cast<float>(static_cast<std::uint32_t>(bits) << 16);
}

std::uint8_t to_byte(float log_probability) {
  return static_cast<std::uint8_t>(std::clamp(std::round(-log_probability * kSteps), 0.0f, 255.0f));
}

/// Of one position; then `probabilities` are such.
Status read_position(const std::byte* from, const Manner& manner, std::int32_t* tokens,
                     float* probabilities) {
  const std::size_t size = token_size(manner.vocabulary);
  const std::byte* const values = from + manner.top_k * size;
  std::int64_t before = -1;
  double sum = 0;
  for (std::size_t i = 0; i < manner.top_k; ++i) {
    const std::int64_t token = token_at(from + i * size, size);
    if (token <= before || token >= manner.vocabulary)
      return refuse("an answer with tokens that do not ascend, or that are not in the vocabulary");
    tokens[i] = static_cast<std::int32_t>(before = token);
    const float log = manner.values == job::SaidAs::kInt8
                          ? -static_cast<float>(load<std::uint8_t>(values + i)) / kSteps
                          : from_bf16(load<std::uint16_t>(values + 2 * i));
    if (!(log <= 0 && log >= kLeastLog))
      return refuse("an answer with what is no logarithm of a probability");
    probabilities[i] = std::exp(log);
    sum += double{probabilities[i]};
  }
  // What was rounded may be a little more than there is.
  const float all = sum > 1 ? static_cast<float>(1 / sum) : 1;
  for (std::size_t i = 0; i < manner.top_k && sum > 1; ++i) probabilities[i] *= all;
  return {};
}

}  // namespace

Bytes encode(const Ask& ask, std::int64_t vocabulary) {
  Bytes bytes;
  put(bytes, ask.temperature);
  put(bytes, static_cast<std::uint16_t>(ask.top_k));
  put(bytes, static_cast<std::uint8_t>(ask.values));
  put(bytes, std::uint8_t{0});
  put(bytes, static_cast<std::uint32_t>(ask.sequences.size()));
  for (const auto& sequence : ask.sequences)
    put(bytes, static_cast<std::uint32_t>(sequence.size()));
  for (const auto& sequence : ask.sequences) {
    for (const std::int32_t token : sequence) put_token(bytes, token, vocabulary);
  }
  return bytes;
}

Result<Ask> read_ask(BytesView payload, std::int64_t vocabulary, std::size_t longest,
                     std::uint32_t most) {
  if (payload.size() < kHead) return refuse("an ask that is cut short");
  Ask ask;
  ask.temperature = load<float>(payload.data());
  ask.top_k = load<std::uint16_t>(payload.data() + 4);
  const auto values = load<std::uint8_t>(payload.data() + 6);
  const auto zero = load<std::uint8_t>(payload.data() + 7);
  const std::size_t count = load<std::uint32_t>(payload.data() + 8);
  if (!(ask.temperature > 0 && ask.temperature <= kHighestTemperature))
    return refuse("an ask at a temperature that cannot be");
  if (ask.top_k < 1 || ask.top_k > most || ask.top_k > vocabulary)
    return refuse("an ask for " + std::to_string(ask.top_k) + " tokens of a position; limit " +
                  std::to_string(most));
  if (values > 1 || zero != 0) return refuse("an ask for values of no known kind");
  ask.values = static_cast<job::SaidAs>(values);
  if (count < 1 || count > kMostSequences || payload.size() < kHead + 4 * count)
    return refuse("an ask with sequences that are not there, or too many");
  std::size_t tokens = 0;
  for (std::size_t i = 0; i < count; ++i) {
    const std::size_t length = load<std::uint32_t>(payload.data() + kHead + 4 * i);
    if (length < 1 || length > longest)
      return refuse("a sequence of " + std::to_string(length) + " tokens; the model takes 1 to " +
                    std::to_string(longest));
    tokens += length;
    if (tokens > job::kMostAsked) return refuse("an ask with too many tokens");
  }
  const std::size_t size = token_size(vocabulary);
  if (payload.size() != kHead + 4 * count + size * tokens)
    return refuse("an ask of another size than its sequences");
  const std::byte* at = payload.data() + kHead + 4 * count;
  ask.sequences.resize(count);
  for (std::size_t i = 0; i < count; ++i) {
    auto& sequence = ask.sequences[i];
    sequence.resize(load<std::uint32_t>(payload.data() + kHead + 4 * i));
    for (std::int32_t& token : sequence) {
      const std::int64_t id = token_at(at, size);
      if (id >= vocabulary) return refuse("an ask about a token that is not in the vocabulary");
      token = static_cast<std::int32_t>(id);
      at += size;
    }
  }
  return ask;
}

Bytes encode(const Said& said, const Manner& manner) {
  const std::size_t k = manner.top_k;
  CHECK(said.tokens.size() == said.values.size() && said.tokens.size() % k == 0);
  Bytes bytes;
  bytes.reserve(said.tokens.size() / k *
                job::said_bytes(manner.top_k, manner.values, manner.vocabulary));
  for (std::size_t at = 0; at < said.tokens.size(); at += k) {
    for (std::size_t i = 0; i < k; ++i) put_token(bytes, said.tokens[at + i], manner.vocabulary);
    for (std::size_t i = 0; i < k; ++i) {
      const float log = std::clamp(said.values[at + i], kLeastLog / 2, 0.0f);
      if (manner.values == job::SaidAs::kInt8)
        put(bytes, to_byte(log));
      else
        put(bytes, to_bf16(log));
    }
  }
  return bytes;
}

Result<Said> read_said(BytesView payload, std::size_t positions, const Manner& manner) {
  const std::size_t size = job::said_bytes(manner.top_k, manner.values, manner.vocabulary);
  if (payload.size() != positions * size)
    return refuse("an answer of another size than what was asked");
  Said said;
  said.tokens.resize(positions * manner.top_k);
  said.values.resize(positions * manner.top_k);
  for (std::size_t p = 0; p < positions; ++p) {
    ATOLL_TRY(read_position(payload.data() + p * size, manner, &said.tokens[p * manner.top_k],
                            &said.values[p * manner.top_k]));
  }
  return said;
}

}  // namespace reef::actors
