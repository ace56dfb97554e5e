#pragma once
// Lines and their translations to token shards, once, before a job (pairs.h says in what form).

#include <cstdint>
#include <filesystem>
#include <string>

#include "actors/data/format/manifest.h"
#include "runtime/base/error.h"

namespace reef::data {

struct PairOptions {
  /// Has train.FROM, train.TO, validation.FROM and validation.TO; line i of one translates line i
  /// of the other.
  std::filesystem::path input;
  std::filesystem::path output;  ///< the folder to make
  std::string from, to;          ///< "en", "es"
  std::uint32_t window = 128;    ///< tokens, the context of jobs that train on it
  std::uint64_t shard_tokens = 100'000'000;
  std::uint64_t seed = 0;  ///< of the order of pairs
  /// "train:4096": a vocabulary learnt from both languages of train, the two marks in it; or the
  /// path of a tokenizer.json that has them.
  std::string tokenizer = "train:4096";
};

/// Makes the folder as prepare() does: whole or not at all, and not again. Pairs are shuffled, so
/// that neighbours in a window, which a model sees while it translates, say nothing of each other.
/// Those with an empty line and those longer than a window are left out and counted. Memory: a
/// split's tokens.
/// Failure: kUsage for options that cannot be, kPath for files that cannot be read, kData naming
/// file and line for what is no pair, or a split of which nothing is left.
Result<Manifest> prepare_pairs(const PairOptions& options);

}  // namespace reef::data
