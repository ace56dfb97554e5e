#pragma once
// model.safetensors.index.json: which file of a model that is cut into several holds which tensor.
//
//   {"metadata": {"total_size": BYTES}, "weight_map": {"lm_head.weight":
//    "model-00002-of-00002.safetensors", ...}}

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "runtime/base/error.h"

namespace reef::checkpoint {

inline constexpr std::size_t kMaxIndexBytes = 16 << 20;
inline constexpr std::size_t kMaxShards = 1000;

struct ShardIndex {
  std::map<std::string, std::string> file_of;  ///< by tensor name; plain names of files
  std::uint64_t total_size = 0;                ///< bytes of all tensors; 0: not said

  /// Each once, sorted.
  std::vector<std::string> files() const;
};

/// kCheckpoint naming `where` for what is not an index, for more than kMaxShards files and for a
/// file name that is not plain.
Result<ShardIndex> parse_shard_index(std::string_view text, std::string_view where);
std::string to_json(const ShardIndex& index);

}  // namespace reef::checkpoint
