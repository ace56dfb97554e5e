#include "ops/tune/cache.h"

#include <cstdlib>
#include <nlohmann/json.hpp>

#include "runtime/base/bytes.h"
#include "runtime/base/file.h"

namespace reef::ops::tune {

namespace {

using Json = nlohmann::ordered_json;
namespace fs = std::filesystem;

constexpr int kFormat = 1;
constexpr std::size_t kMaxBytes = std::size_t{64} << 20;

Error refuse(const fs::path& path, const std::string& why) {
  return {Code::kPath, path.string(),
          "is no cache of measured kernels (" + why + "); remove it with 'atoll tune clear'"};
}

/// Of one processor; false when the form is not ours.
bool decode(const Json& entries, Choices& choices) {
  if (!entries.is_object()) return false;
  for (const auto& [call, entry] : entries.items()) {
    const bool fits = entry.is_object() && entry.contains("kernel") &&
                      entry["kernel"].is_string() && entry.contains("seconds") &&
                      entry["seconds"].is_number();
    if (!fits) return false;
    choices[call] = {entry["kernel"].get<std::string>(), entry["seconds"].get<double>()};
  }
  return true;
}

Json encode(const Choices& choices) {
  Json entries = Json::object();
  for (const auto& [call, choice] : choices) {
    entries[call] = {{"kernel", choice.kernel}, {"seconds", choice.seconds}};
  }
  return entries;
}

/// The processors of the file, every one of them checked.
Result<std::map<std::string, Choices>> load(const fs::path& path) {
  std::map<std::string, Choices> processors;
  std::error_code failure;
  if (!fs::exists(path, failure)) return processors;
  ATOLL_ASSIGN(const std::string text, read_file(path, kMaxBytes));
  const Json json = Json::parse(text, nullptr, false);
  if (json.is_discarded()) return refuse(path, "not JSON");
  if (!json.is_object() || json.value("format", Json()) != kFormat) {
    return refuse(path, "another format");
  }
  const Json found = json.value("processors", Json());
  if (!found.is_object()) return refuse(path, "no processors");
  for (const auto& [processor, entries] : found.items()) {
    if (!decode(entries, processors[processor])) return refuse(path, "entries of another form");
  }
  return processors;
}

fs::path from_environment(const char* name) {
  const char* const value = std::getenv(name);
  return value == nullptr ? fs::path() : fs::path(value);
}

}  // namespace

fs::path default_cache_path() {
  if (const fs::path own = from_environment("ATOLL_CACHE"); !own.empty()) return own / "tune.json";
  if (const fs::path caches = from_environment("XDG_CACHE_HOME"); !caches.empty()) {
    return caches / "atoll" / "tune.json";
  }
  const fs::path home = from_environment("HOME");
  return home.empty() ? home : home / ".cache" / "atoll" / "tune.json";
}

Result<Choices> Cache::read(const std::string& processor) const {
  ATOLL_ASSIGN(auto processors, load(path_));
  return std::move(processors[processor]);
}

Status Cache::merge(const std::string& processor, const Choices& choices) const {
  ATOLL_ASSIGN(const FileLock lock, FileLock::take(path_.string() + ".lock"));
  ATOLL_ASSIGN(auto processors, load(path_));
  for (const auto& [call, choice] : choices) processors[processor][call] = choice;
  Json json{{"format", kFormat}, {"processors", Json::object()}};
  for (const auto& [name, entries] : processors) json["processors"][name] = encode(entries);
  return write_file(path_, as_bytes(json.dump(1) + "\n"));
}

Result<bool> Cache::clear() const {
  std::error_code failure;
  const bool removed = fs::remove(path_, failure);
  if (failure) {
    return Error{Code::kPath, path_.string(), "cannot be removed: " + failure.message()};
  }
  return removed;
}

}  // namespace reef::ops::tune
