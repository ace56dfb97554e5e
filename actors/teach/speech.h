#pragma once
// What students and teachers write to each other, as kinds of node::Letter. `number` of an answer
// or a refusal is that of what it answers; numbers are the student's, and used once.
//
//   student                                     teacher
//   ask: sequences of tokens              ->
//                                         <-    answer: of each token, which come next, how likely
//                                         <-    refusal: why there is no answer, in words
//
// Both are hostile to each other: what is read here is bounded, and all that is accepted is a
// distribution, or tokens of the vocabulary.

#include <cstdint>
#include <string>
#include <vector>

#include "runtime/base/bytes.h"
#include "runtime/base/error.h"
#include "scheduler/job/teaching.h"

namespace reef::actors {

enum class Speech : std::uint16_t { kAsk = 1, kAnswer = 2, kRefusal = 3 };

inline constexpr std::size_t kMostSequences = 1 << 16;  ///< of an ask
inline constexpr std::size_t kLongestRefusal = 512;     ///< bytes
inline constexpr double kHighestTemperature = 100;

/// What a position's answer looks like.
struct Manner {
  std::uint32_t top_k = 16;
  job::SaidAs values = job::SaidAs::kInt8;
  std::int64_t vocabulary = 256;
  bool operator==(const Manner&) const = default;
};

struct Ask {
  float temperature = 1;
  std::uint32_t top_k = 16;
  job::SaidAs values = job::SaidAs::kInt8;
  std::vector<std::vector<std::int32_t>> sequences;  ///< none is empty
  bool operator==(const Ask&) const = default;
};

/// Of positions one after the other, `manner.top_k` tokens each.
struct Said {
  std::vector<std::int32_t> tokens;  ///< ascending in a position
  std::vector<float> values;  ///< to encode: logarithms of probabilities; read: probabilities
};

Bytes encode(const Ask& ask, std::int64_t vocabulary);
/// kProto for whatever is no ask: no sequence or one that is empty or over `longest`, a token that
/// is not in the vocabulary, more tokens of a position than `most`, a temperature that cannot be.
Result<Ask> read_ask(BytesView payload, std::int64_t vocabulary, std::size_t longest,
                     std::uint32_t most);

/// Precondition: `said` is of whole positions.
Bytes encode(const Said& said, const Manner& manner);
/// Of so many positions; of each, the probabilities are in 0..1 and together at most 1. kProto for
/// another size, tokens that do not ascend or are not in the vocabulary, and values that are no
/// logarithm of a probability.
Result<Said> read_said(BytesView payload, std::size_t positions, const Manner& manner);

}  // namespace reef::actors
