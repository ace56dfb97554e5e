#include "runtime/machine/profile.h"

#include <charconv>
#include <cmath>
#include <nlohmann/json.hpp>

#include "ops/tune/cache.h"
#include "runtime/base/bytes.h"
#include "runtime/base/file.h"

namespace reef::machine {
namespace {

using Json = nlohmann::ordered_json;
namespace fs = std::filesystem;

constexpr int kFormat = 1;
constexpr std::size_t kMaxBytes = std::size_t{16} << 20;
constexpr double kHighestRate = 1e24;

Error refuse(const fs::path& path, const std::string& why) {
  return {Code::kPath, path.string(),
          "is no profile of this machine (" + why +
              "); remove it and measure again with 'atoll topology measure'"};
}

bool read_rate(const Json& from, const char* name, double& rate) {
  if (!from.is_object() || !from.contains(name) || !from[name].is_number()) return false;
  rate = from[name].get<double>();
  return rate >= 1 && rate <= kHighestRate;
}

bool read_rates(const Json& from, const char* name, Rates& rates) {
  return from.is_object() && from.contains(name) &&
         read_rate(from[name], "products", rates.products) &&
         read_rate(from[name], "attention", rates.attention) &&
         read_rate(from[name], "block", rates.block);
}

/// Of one processor; false when the form is not ours.
bool decode(const Json& entries, Profiles& profiles) {
  if (!entries.is_object()) return false;
  for (const auto& [text, entry] : entries.items()) {
    std::uint32_t threads = 0;
    const auto [end, failure] = std::from_chars(text.data(), text.data() + text.size(), threads);
    if (failure != std::errc() || end != text.data() + text.size() || threads < 1) return false;
    Profile& profile = profiles[threads];
    if (!entry.is_object() || !entry.contains("block") || !entry["block"].is_string()) return false;
    profile.block = entry["block"].get<std::string>();
    if (!read_rates(entry, "fp32", profile.fp32) || !read_rates(entry, "bf16", profile.bf16) ||
        !read_rate(entry, "bandwidth", profile.bandwidth)) {
      return false;
    }
  }
  return true;
}

Json encode(const Rates& rates) {
  return {{"products", rates.products}, {"attention", rates.attention}, {"block", rates.block}};
}

Json encode(const Profiles& profiles) {
  Json entries = Json::object();
  for (const auto& [threads, profile] : profiles) {
    entries[std::to_string(threads)] = {{"block", profile.block},
                                        {"fp32", encode(profile.fp32)},
                                        {"bf16", encode(profile.bf16)},
                                        {"bandwidth", profile.bandwidth}};
  }
  return entries;
}

Result<std::map<std::string, Profiles>> load(const fs::path& path) {
  std::map<std::string, Profiles> processors;
  std::error_code failure;
  if (!fs::exists(path, failure)) return processors;
  ATOLL_ASSIGN(const std::string text, read_file(path, kMaxBytes));
  const Json json = Json::parse(text, nullptr, false);
  if (json.is_discarded()) return refuse(path, "not JSON");
  if (!json.is_object() || json.value("format", Json()) != kFormat)
    return refuse(path, "another format");
  const Json found = json.value("processors", Json());
  if (!found.is_object()) return refuse(path, "no processors");
  for (const auto& [processor, entries] : found.items()) {
    if (!decode(entries, processors[processor])) return refuse(path, "entries of another form");
  }
  return processors;
}

}  // namespace

fs::path default_profile_path() {
  fs::path path = ops::tune::default_cache_path();
  return path.empty() ? path : path.replace_filename("profile.json");
}

Result<Profiles> ProfileFile::read(const std::string& processor) const {
  if (path_.empty()) return Profiles();
  ATOLL_ASSIGN(auto processors, load(path_));
  return std::move(processors[processor]);
}

Status ProfileFile::keep(const std::string& processor, const Profiles& profiles) const {
  ATOLL_ASSIGN(const FileLock lock, FileLock::take(path_.string() + ".lock"));
  ATOLL_ASSIGN(auto processors, load(path_));
  for (const auto& [threads, profile] : profiles) processors[processor][threads] = profile;
  Json json{{"format", kFormat}, {"processors", Json::object()}};
  for (const auto& [name, entries] : processors) json["processors"][name] = encode(entries);
  return write_file(path_, as_bytes(json.dump(1) + "\n"));
}

}  // namespace reef::machine
