#include "actors/checkpoint/format/safetensors.h"

#include <algorithm>
#include <array>
#include <tuple>

#include "actors/checkpoint/format/safetensors_header.h"
#include "actors/data/format/sha256.h"
#include "runtime/base/file.h"

namespace reef::checkpoint {
namespace {

struct Dtype {
  std::string_view name;
  std::size_t size;
};

/// In the reference implementation's order, low to high; tensors are written highest first, so that
/// each begins aligned to its element.
constexpr std::array<Dtype, 15> kDtypes{{
    {"BOOL", 1},
    {"U8", 1},
    {"I8", 1},
    {"F8_E5M2", 1},
    {"F8_E4M3", 1},
    {"I16", 2},
    {"U16", 2},
    {"F16", 2},
    {"BF16", 2},
    {"I32", 4},
    {"U32", 4},
    {"F32", 4},
    {"F64", 8},
    {"I64", 8},
    {"U64", 8},
}};

constexpr std::size_t kMaxName = 255;
constexpr std::size_t kLengthBytes = 8;

/// kDtypes.size() for an unknown one.
std::size_t dtype_rank(std::string_view name) {
  const auto found = std::find_if(kDtypes.begin(), kDtypes.end(),
                                  [name](const Dtype& dtype) { return dtype.name == name; });
  return static_cast<std::size_t>(found - kDtypes.begin());
}

bool has_parent_component(std::string_view name) {
  for (std::size_t begin = 0; begin <= name.size();) {
    const std::size_t end = std::min(name.find('/', begin), name.size());
    if (name.substr(begin, end - begin) == "..") return true;
    begin = end + 1;
  }
  return false;
}

Error damaged(std::string_view where, std::string what) {
  return {Code::kCheckpoint, std::string(where), std::move(what)};
}

Error damaged(std::string_view where, const HeaderEntry& entry, const std::string& what) {
  return damaged(where, "tensor '" + entry.name.substr(0, 64) + "': " + what);
}

/// Holds one entry against its own shape and against the byte where the previous one ended.
Status check_entry(const HeaderEntry& entry, std::uint64_t expected_begin, std::uint64_t data_size,
                   std::string_view where) {
  ATOLL_TRY(check_tensor_name(entry.name, where));
  const auto size = byte_size(entry.dtype, entry.shape);
  if (!size.ok()) return damaged(where, entry, size.error().what);
  if (entry.begin != expected_begin) {
    return damaged(
        where, entry,
        std::string(entry.begin < expected_begin ? "overlaps another" : "leaves a hole") +
            " at data byte " + std::to_string(entry.begin));
  }
  if (entry.end < entry.begin || entry.end > data_size) {
    return damaged(where, entry,
                   "ends at data byte " + std::to_string(entry.end) + "; the data has " +
                       std::to_string(data_size));
  }
  if (entry.end - entry.begin != *size) {
    return damaged(where, entry,
                   "has " + std::to_string(entry.end - entry.begin) + " bytes; its shape needs " +
                       std::to_string(*size));
  }
  return {};
}

void sort_by_position(std::vector<HeaderEntry>& entries) {
  std::sort(entries.begin(), entries.end(), [](const HeaderEntry& a, const HeaderEntry& b) {
    return std::tie(a.begin, a.end, a.name) < std::tie(b.begin, b.end, b.name);
  });
}

void sort_for_writing(std::vector<TensorView>& tensors) {
  std::sort(tensors.begin(), tensors.end(), [](const TensorView& a, const TensorView& b) {
    const std::size_t rank_a = dtype_rank(a.dtype);
    const std::size_t rank_b = dtype_rank(b.dtype);
    return std::tie(rank_b, a.name) < std::tie(rank_a, b.name);
  });
}

/// The header of tensors in writing order, whose bytes must fit their shapes.
Result<Header> lay_out(const std::vector<TensorView>& tensors, const Metadata& metadata) {
  Header header{.entries = {}, .metadata = metadata};
  std::uint64_t offset = 0;
  for (const TensorView& tensor : tensors) {
    ATOLL_TRY(check_tensor_name(tensor.name, "tensor"));
    ATOLL_ASSIGN(const std::uint64_t size, byte_size(tensor.dtype, tensor.shape));
    if (tensor.bytes.size() != size) {
      return Error{Code::kTensor, tensor.name,
                   "has " + std::to_string(tensor.bytes.size()) + " bytes; its shape needs " +
                       std::to_string(size)};
    }
    header.entries.push_back({tensor.name, tensor.dtype, tensor.shape, offset, offset + size});
    offset += size;
  }
  return header;
}

/// One name may come with two dtypes, so equal names need not be neighbours in writing order.
Status check_unique(const std::vector<TensorView>& tensors) {
  std::vector<std::string_view> names;
  for (const TensorView& tensor : tensors) names.push_back(tensor.name);
  std::sort(names.begin(), names.end());
  const auto twice = std::adjacent_find(names.begin(), names.end());
  if (twice == names.end()) return {};
  return Error{Code::kTensor, std::string(*twice), "is given twice"};
}

/// Counts and hashes what passes on its way to the file.
class HashedFile {
 public:
  explicit HashedFile(AtomicFile file) : file_(std::move(file)) {}

  Status write(BytesView bytes) {
    hash_.update(bytes);
    written_ += bytes.size();
    return file_.write(bytes);
  }
  Result<WrittenFile> commit() {
    ATOLL_TRY(file_.commit());
    return WrittenFile{.bytes = written_, .sha256 = hash_.finish()};
  }

 private:
  AtomicFile file_;
  data::Sha256 hash_;
  std::uint64_t written_ = 0;
};

}  // namespace

std::size_t dtype_size(std::string_view dtype) {
  const std::size_t rank = dtype_rank(dtype);
  return rank == kDtypes.size() ? 0 : kDtypes[rank].size;
}

Result<std::uint64_t> byte_size(std::string_view dtype, const std::vector<std::uint64_t>& shape) {
  std::uint64_t size = dtype_size(dtype);
  if (size == 0) {
    return Error{Code::kTensor, "dtype",
                 "unknown dtype '" + std::string(dtype.substr(0, 16)) + "'"};
  }
  if (shape.size() > kMaxRank) return Error{Code::kTensor, "shape", "more than 8 dimensions"};
  // A zero dimension does not excuse an overflow beside it; the reference reader is as strict.
  for (const std::uint64_t extent : shape) {
    if (__builtin_mul_overflow(size, extent, &size)) {
      return Error{Code::kTensor, "shape", "the product of the shape overflows"};
    }
  }
  return size;
}

Status check_tensor_name(std::string_view name, std::string_view where) {
  const char* problem = nullptr;
  if (name.empty()) {
    problem = "a tensor has no name";
  } else if (name.size() > kMaxName) {
    problem = "a tensor's name is longer than 255 bytes";
  } else if (name.find('\0') != name.npos) {
    problem = "a tensor's name holds NUL";
  } else if (name.front() == '/' || has_parent_component(name)) {
    problem = "a tensor's name leaves its folder";
  } else if (name == "__metadata__") {
    problem = "a tensor may not be called __metadata__";
  }
  if (problem == nullptr) return {};
  return Error{Code::kPath, std::string(where), problem};
}

Result<SafetensorsContent> parse_safetensors(BytesView file, std::string_view where) {
  if (file.size() < kLengthBytes) return damaged(where, "the file ends inside the header's length");
  const auto length = load<std::uint64_t>(file.data());
  if (length > kMaxHeaderBytes) {
    return damaged(where, "the header has " + std::to_string(length) + " bytes; the limit is " +
                              std::to_string(kMaxHeaderBytes));
  }
  if (length > file.size() - kLengthBytes) return damaged(where, "the file ends inside the header");
  ATOLL_ASSIGN(Header header, parse_header(as_text(file.subspan(kLengthBytes, length)), where));
  const BytesView data = file.subspan(kLengthBytes + length);

  SafetensorsContent content{.tensors = {}, .metadata = std::move(header.metadata)};
  content.tensors.reserve(header.entries.size());
  sort_by_position(header.entries);
  std::uint64_t position = 0;
  for (HeaderEntry& entry : header.entries) {
    ATOLL_TRY(check_entry(entry, position, data.size(), where));
    position = entry.end;
    content.tensors.push_back({std::move(entry.name), std::move(entry.dtype),
                               std::move(entry.shape),
                               data.subspan(entry.begin, entry.end - entry.begin)});
  }
  if (position != data.size()) {
    return damaged(where, std::to_string(data.size() - position) + " bytes follow the last tensor");
  }
  return content;
}

Result<SafetensorsFile> SafetensorsFile::open(const std::filesystem::path& path) {
  ATOLL_ASSIGN(data::MappedFile map, data::MappedFile::open(path));
  ATOLL_ASSIGN(SafetensorsContent content, parse_safetensors(map.bytes(), path.string()));
  return SafetensorsFile(std::move(map), std::move(content));
}

Result<SafetensorsFile> SafetensorsFile::open(const std::filesystem::path& folder,
                                              std::string_view name) {
  ATOLL_TRY(data::check_file_name(name, folder.string()));
  return open(folder / name);
}

const TensorView* SafetensorsFile::find(std::string_view name) const {
  for (const TensorView& tensor : content_.tensors) {
    if (tensor.name == name) return &tensor;
  }
  return nullptr;
}

Result<WrittenFile> write_safetensors(const std::filesystem::path& path,
                                      std::vector<TensorView> tensors, const Metadata& metadata) {
  ATOLL_TRY(check_unique(tensors));
  sort_for_writing(tensors);
  ATOLL_ASSIGN(const Header header, lay_out(tensors, metadata));
  ATOLL_ASSIGN(const std::string json, write_header(header));
  if (json.size() > kMaxHeaderBytes) {
    return Error{Code::kTensor, path.string(), "too many tensors for one file's header"};
  }
  ATOLL_ASSIGN(AtomicFile atomic, AtomicFile::create(path));
  HashedFile file(std::move(atomic));
  std::array<std::byte, kLengthBytes> length;
  store(length.data(), static_cast<std::uint64_t>(json.size()));
  ATOLL_TRY(file.write(length));
  ATOLL_TRY(file.write(as_bytes(json)));
  for (const TensorView& tensor : tensors) ATOLL_TRY(file.write(tensor.bytes));
  return file.commit();
}

}  // namespace reef::checkpoint
