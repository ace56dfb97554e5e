#pragma once
// Measured choices on disk, so that only the first run on a machine pays for them. JSON, because a
// person who wonders why a kernel was chosen should be able to look.

#include <filesystem>
#include <map>
#include <string>

#include "runtime/base/error.h"

namespace reef::ops::tune {

struct Choice {
  std::string kernel;
  double seconds = 0;  ///< its median when it was measured
  bool operator==(const Choice&) const = default;
};
/// By text_of() the call.
using Choices = std::map<std::string, Choice>;

/// $ATOLL_CACHE/tune.json; else atoll/tune.json in $XDG_CACHE_HOME or ~/.cache; empty when there is
/// no home either, and then nothing is kept.
std::filesystem::path default_cache_path();

/// One file, the choices of every processor in it.
/// Thread: any; processes may share the file. Failure: a file that is not there is an empty cache.
/// One that is not ours, or damaged, is refused by both functions, which leave it as it is.
class Cache {
 public:
  explicit Cache(std::filesystem::path path) : path_(std::move(path)) {}

  const std::filesystem::path& path() const { return path_; }
  /// Those of one processor.
  Result<Choices> read(const std::string& processor) const;
  /// Adds to what is there by now, under a lock, so that processes do not lose each other's
  /// choices; of one call the later measurement stays.
  Status merge(const std::string& processor, const Choices& choices) const;
  /// Takes the file away, whatever it is. False when there was none.
  Result<bool> clear() const;

 private:
  std::filesystem::path path_;
};

}  // namespace reef::ops::tune
