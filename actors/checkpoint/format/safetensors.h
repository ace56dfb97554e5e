#pragma once
// safetensors files: u64 N | N bytes of JSON | data. The format others read our weights in, and the
// one our checkpoints are made of.
//
// Reading trusts nothing: the header is parsed as a stream into a flat list (no tree whose size a
// peer chooses), and the data must be covered exactly once, without holes, to the last byte.

#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "actors/data/format/mapped_file.h"
#include "runtime/base/bytes.h"
#include "runtime/base/error.h"

namespace reef::checkpoint {

/// The largest header anybody accepts.
inline constexpr std::uint64_t kMaxHeaderBytes = 100'000'000;
inline constexpr std::size_t kMaxRank = 8;

/// One tensor and where its bytes are; it owns none of them. In files of others `bytes` may be
/// unaligned.
struct TensorView {
  std::string name;
  std::string dtype;  ///< "F32", "BF16", "I64", ... as safetensors writes it
  std::vector<std::uint64_t> shape;
  BytesView bytes;
};

using Metadata = std::map<std::string, std::string>;

/// Bytes of one element; 0 for a dtype safetensors does not know.
std::size_t dtype_size(std::string_view dtype);
/// Elements times element size; kTensor for an unknown dtype, a rank over kMaxRank or an overflow.
Result<std::uint64_t> byte_size(std::string_view dtype, const std::vector<std::uint64_t>& shape);
/// kPath for a tensor name that is empty, over 255 bytes, begins with '/', or holds NUL or a ".."
/// component.
Status check_tensor_name(std::string_view name, std::string_view where);

struct SafetensorsContent {
  std::vector<TensorView> tensors;  ///< in the order of their bytes; views of the parsed file
  Metadata metadata;
};

/// Parses a whole file held in memory. kCheckpoint (or kPath for names) with "`where`: header byte
/// or tensor".
Result<SafetensorsContent> parse_safetensors(BytesView file, std::string_view where);

/// A memory-mapped file and its tensors. Thread: any, it does not change. Copying is not possible,
/// moving is.
class SafetensorsFile {
 public:
  static Result<SafetensorsFile> open(const std::filesystem::path& path);
  /// `name` beneath `folder`, never through a link.
  static Result<SafetensorsFile> open(const std::filesystem::path& folder, std::string_view name);

  /// Null when there is no such tensor.
  const TensorView* find(std::string_view name) const;
  const std::vector<TensorView>& tensors() const { return content_.tensors; }
  const Metadata& metadata() const { return content_.metadata; }
  /// The whole file, for hashing.
  BytesView bytes() const { return map_.bytes(); }

 private:
  SafetensorsFile(data::MappedFile map, SafetensorsContent content)
      : map_(std::move(map)), content_(std::move(content)) {}

  data::MappedFile map_;
  SafetensorsContent content_;
};

/// What a writer left on the disk.
struct WrittenFile {
  std::uint64_t bytes = 0;
  std::string sha256;
};

/// Writes tensors in the reference order (dtype descending, then name), streamed, whole or not at
/// all. Failure: kTensor for bytes that do not fit the shape or a name given twice, kPath for names
/// and the disk.
Result<WrittenFile> write_safetensors(const std::filesystem::path& path,
                                      std::vector<TensorView> tensors,
                                      const Metadata& metadata = {{"format", "pt"}});

}  // namespace reef::checkpoint
