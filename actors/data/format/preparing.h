#pragma once
// What every way of preparing data does alike. Private to actors/data/format.

#include <cstdint>
#include <filesystem>
#include <string>

#include "actors/data/format/manifest.h"
#include "actors/data/format/mapped_file.h"
#include "actors/data/format/text_encoder.h"
#include "runtime/base/error.h"

namespace reef::data {

/// kUsage unless a shard can hold so many.
Status check_shard_tokens(std::uint64_t tokens);

/// Maps a file of the user's, whose own folder may hold links.
Result<MappedFile> open_source(const std::filesystem::path& path);

/// What the manifest says of the tokenizer, before anything is made; `option` is how the user said
/// it.
Status describe(const TokenizerChoice& choice, const std::string& option, Manifest& manifest);

/// True when `output` already holds, intact, what would be made; false when it is free.
Result<bool> already_made(const std::filesystem::path& output, const Manifest& wanted);

}  // namespace reef::data
