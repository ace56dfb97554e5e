#pragma once
// The public test vectors, which live beside the repository or where ATOLL_VECTORS says.

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>

#include "runtime/base/bytes.h"

namespace reef::security {

inline std::optional<nlohmann::json> read_vectors(const std::string& name) {
  const char* folder = std::getenv("ATOLL_VECTORS");
  const std::filesystem::path path =
      std::filesystem::path(folder != nullptr ? folder : "../shared/vectors") / name;
  std::ifstream file(path);
  if (!file) return std::nullopt;
  return nlohmann::json::parse(file);
}

inline Bytes unhex(const std::string& text) {
  Bytes out;
  for (std::size_t i = 0; i + 1 < text.size(); i += 2) {
    out.push_back(static_cast<std::byte>(std::stoi(text.substr(i, 2), nullptr, 16)));
  }
  return out;
}

}  // namespace reef::security

/// Skips aloud where the vectors are absent.
#define ATOLL_VECTORS_OR_SKIP(variable, name)                                                  \
  const auto variable##_file = ::reef::security::read_vectors(name);                           \
  if (!variable##_file) GTEST_SKIP() << name << " not found: set ATOLL_VECTORS to its folder"; \
  const auto& variable = *variable##_file
