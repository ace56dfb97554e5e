#pragma once
// Knowledge shared between datacenters (docs/teachers.md): a teacher serves what its model thinks
// of the next token, and a student learns from that beside its data. Pure data, as descriptors have
// it.

#include <cstdint>
#include <string>
#include <vector>

#include "runtime/base/clock.h"

namespace reef::job {

inline constexpr std::size_t kMostAsked = 1 << 18;                     ///< tokens of an ask
inline constexpr std::uint64_t kMostAnswer = std::uint64_t{32} << 20;  ///< bytes

/// How a log-probability travels.
enum class SaidAs : std::uint8_t {
  kInt8,  ///< a byte: sixteenths of a nat below 0, down to -15.9375
  kBF16,
};
inline const char* name_of(SaidAs as) { return as == SaidAs::kInt8 ? "int8" : "bf16"; }

/// What a TeacherService offers, and to whom.
struct Serves {
  std::vector<std::string> jobs;   ///< by name; nobody else is answered
  std::uint32_t top_k = 32;        ///< most tokens that it says of a position
  double requests_per_second = 0;  ///< of each job; 0: as many as come
  /// Of a position's logits around their mean: vectors that are longer are shortened to it. 0: not.
  double clip = 0;
  double noise = 0;  ///< standard deviation on every logit, as a multiple of clip; 0: none
  double delta = 1e-6;
  double epsilon = 0;  ///< at which it answers no more, by the account of delta; 0: no end
  std::uint64_t cache = std::uint64_t{64} << 20;  ///< bytes of answers that are kept
  std::string vocabulary =
      {};  ///< what the model's tokens mean: SHA-256 of its tokenizer; empty: bytes
  bool operator==(const Serves&) const = default;
};

/// Whom a student asks.
struct Teacher {
  enum class Side : std::uint8_t {
    kTarget,  ///< at what the loss counts: translations, or all of a text that is no pairs
    kSource,  ///< at what it leaves out: what is to be translated
  };
  std::string job;  ///< name of a TeacherService
  double weight = 0.5;
  Side side = Side::kTarget;
  bool operator==(const Teacher&) const = default;
};
inline const char* name_of(Teacher::Side side) {
  return side == Teacher::Side::kTarget ? "target" : "source";
}

/// The loss is the data's and weight * distillation (ops/nn/distillation.h) of each teacher.
struct Distillation {
  std::vector<Teacher> teachers;
  /// The last step at which they are asked; weights fall to nothing until then, evenly. 0: to the
  /// end, with the same weights.
  std::uint64_t until = 0;
  double temperature = 1;
  std::uint32_t top_k = 16;
  SaidAs values = SaidAs::kInt8;
  /// How long a micro-batch waits for a teacher; then it goes on without.
  Duration patience = std::chrono::seconds(5);
  std::string vocabulary = {};  ///< as Serves::vocabulary, of the student's data
  bool operator==(const Distillation&) const = default;
};

/// What a teacher's weight is multiplied with in a step (1-based); 0: nobody is asked.
inline double share_of(const Distillation& distillation, std::uint64_t step) {
  if (distillation.until == 0) return 1;
  if (step > distillation.until) return 0;
  return 1 - static_cast<double>(step - 1) / static_cast<double>(distillation.until);
}

/// Of a position in an answer: tokens of 2 bytes, or 4 where a vocabulary needs them, and values.
inline std::uint64_t said_bytes(std::uint32_t top_k, SaidAs values, std::int64_t vocabulary) {
  return std::uint64_t{top_k} *
         ((vocabulary <= 65'536 ? 2 : 4) + (values == SaidAs::kInt8 ? 1 : 2));
}

}  // namespace reef::job
