#pragma once
// The seeds of every target: what an honest peer or an own writer makes, in the form in which the
// target takes its input apart.

#include <string>
#include <string_view>

#include "tests/fuzz/cluster.h"

namespace reef::fuzz {

/// Writes one seed into the corpus.
void seed(const std::string& target, const std::string& name, BytesView bytes);
void seed(const std::string& target, const std::string& name, const Output& output);
void seed(const std::string& target, const std::string& name, std::string_view text);

inline std::uint8_t byte(std::size_t value) { return static_cast<std::uint8_t>(value); }

/// Of the targets that read what peers say.
void seed_messages();
/// Of those that read files, and tensors however they come.
void seed_files();

}  // namespace reef::fuzz
