#pragma once
// Text to token shards, once, before a job. The tokens are the bytes of the text (vocabulary 256),
// so that there is no tokenizer to ship, or those of a byte-pair tokenizer, which is trained on the
// text or given, and kept in the folder.
//
// The held-out split is made of whole chapters (a line "# ..." begins one), or, in a text without
// headings, of blocks between blank lines. A chapter's side depends on the seed and on its text
// alone: the same passage in two places lands on one side, so nothing that is validated on was
// trained on, and adding a file moves few of the others.

#include <cstdint>
#include <filesystem>
#include <string>

#include "actors/data/format/manifest.h"
#include "runtime/base/error.h"

namespace reef::data {

struct PrepareOptions {
  std::filesystem::path input;   ///< a file, or a folder whose *.txt are taken, recursively, sorted
  std::filesystem::path output;  ///< the folder to make
  double validation_fraction = 0.05;  ///< of the bytes; 0 makes no validation split
  std::uint64_t shard_tokens = 100'000'000;
  std::uint64_t seed = 0;
  /// "bytes"; "train:4096": a vocabulary learnt from what is trained on; or the path of a
  /// tokenizer.json.
  std::string tokenizer = "bytes";
};

/// Makes the folder of shards and its manifest, or nothing at all: it is built beside `output` and
/// renamed. A folder already made from the same input and options is verified and left alone; any
/// other non-empty folder is refused. Failure: kPath for input or output that cannot be used, kData
/// for input without text or that cannot be split, or a tokenizer that cannot be used, kUsage for
/// options out of range.
Result<Manifest> prepare(const PrepareOptions& options);

}  // namespace reef::data
