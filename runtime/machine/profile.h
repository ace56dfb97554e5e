#pragma once
// What was measured of this machine's device, on disk beside the tuner's choices, so that plans for
// its nodes need not guess.

#include <cstdint>
#include <filesystem>
#include <map>
#include <string>

#include "runtime/base/error.h"

namespace reef::machine {

/// FLOP/s in one precision.
struct Rates {
  double products = 0;   ///< matrix products of a block
  double attention = 0;  ///< its attention, forward and backward
  double block = 0;      ///< forward and backward of whole blocks: the speed of the cost model
  bool operator==(const Rates&) const = default;
};

struct Profile {
  std::string block;  ///< for people: whose block on how many tokens
  Rates fp32, bf16;
  double bandwidth = 0;  ///< bytes/s of a pass over tensors that no cache holds
  bool operator==(const Profile&) const = default;
};
/// By compute threads.
using Profiles = std::map<std::uint32_t, Profile>;

/// profile.json beside ops::tune::default_cache_path(); empty when there is no home.
std::filesystem::path default_profile_path();

/// One file, with the profiles of every processor in it.
/// Thread: any; processes may share the file. Failure: a file that is not there is empty. One that
/// is not ours, or damaged, is refused by both functions, which leave it as it is.
class ProfileFile {
 public:
  explicit ProfileFile(std::filesystem::path path) : path_(std::move(path)) {}

  const std::filesystem::path& path() const { return path_; }
  Result<Profiles> read(const std::string& processor) const;
  /// Adds to what is there by now, under a lock; of one count of threads the later stays.
  Status keep(const std::string& processor, const Profiles& profiles) const;

 private:
  std::filesystem::path path_;
};

}  // namespace reef::machine
