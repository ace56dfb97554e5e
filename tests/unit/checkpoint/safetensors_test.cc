#include "actors/checkpoint/format/safetensors.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include "actors/data/format/sha256.h"
#include "runtime/base/random.h"
#include "tests/unit/scratch_folder.h"

namespace reef::checkpoint {
namespace {

std::string file_of(std::uint64_t length, const std::string& header, std::size_t data_bytes) {
  std::string file(8, '\0');
  store(reinterpret_cast<std::byte*>(file.data()), length);
  return file + header + std::string(data_bytes, 'd');
}

std::string file_of(const std::string& header, std::size_t data_bytes) {
  return file_of(header.size(), header, data_bytes);
}

std::string entry(const std::string& name, const std::string& dtype, const std::string& shape,
                  const std::string& offsets) {
  return "\"" + name + "\":{\"dtype\":\"" + dtype + "\",\"shape\":" + shape +
         ",\"data_offsets\":" + offsets + "}";
}

TEST(Safetensors, WritesTheBytesOfTheReference) {
  const ScratchFolder folder;
  const std::vector<float> values{1, 2};
  const std::vector<std::int64_t> numbers{3};
  const Bytes flags(3, std::byte{1});
  const auto written = write_safetensors(folder / "m.safetensors",
                                         {{"b", "F32", {2}, std::as_bytes(std::span(values))},
                                          {"flags", "BOOL", {3, 1}, flags},
                                          {"a", "F32", {0, 4}, {}},
                                          {"z", "I64", {}, std::as_bytes(std::span(numbers))}});
  ASSERT_TRUE(written.ok()) << written.error().text();
  const std::string file = get(folder / "m.safetensors");
  std::string header = R"({"__metadata__":{"format":"pt"},)"
                       R"("z":{"dtype":"I64","shape":[],"data_offsets":[0,8]},)"
                       R"("a":{"dtype":"F32","shape":[0,4],"data_offsets":[8,8]},)"
                       R"("b":{"dtype":"F32","shape":[2],"data_offsets":[8,16]},)"
                       R"("flags":{"dtype":"BOOL","shape":[3,1],"data_offsets":[16,19]}})";
  header.resize((header.size() + 7) / 8 * 8, ' ');
  EXPECT_EQ(file.substr(8, header.size()), header);
  EXPECT_EQ(file.size(), 8 + header.size() + 19);
  EXPECT_EQ(written->bytes, file.size());
  EXPECT_EQ(written->sha256, data::sha256(as_bytes(file)));

  const auto read = SafetensorsFile::open(folder / "m.safetensors");
  ASSERT_TRUE(read.ok()) << read.error().text();
  EXPECT_EQ(read->tensors().size(), 4u);
  EXPECT_EQ(read->metadata(), (Metadata{{"format", "pt"}}));
  const TensorView* b = read->find("b");
  ASSERT_NE(b, nullptr);
  EXPECT_EQ(b->shape, std::vector<std::uint64_t>{2});
  EXPECT_EQ(load<float>(b->bytes.data() + 4), 2.0f);
  EXPECT_EQ(read->find("c"), nullptr);
}

TEST(Safetensors, WritesTheFileWithoutTensors) {
  const ScratchFolder folder;
  ASSERT_TRUE(write_safetensors(folder / "e", {}, {}).ok());
  EXPECT_EQ(get(folder / "e"), std::string("\x08\0\0\0\0\0\0\0{}      ", 16));
  EXPECT_TRUE(SafetensorsFile::open(folder / "e").ok());
}

TEST(Safetensors, AcceptsEdgesAndRefusesHostileFiles) {
  const std::string good = entry("a", "F32", "[2]", "[0,8]");
  const std::string next = entry("b", "U8", "[4]", "[8,12]");
  const struct {
    const char* what;
    std::string file;
    bool accepted;
  } rows[] = {
      {"one tensor", file_of("{" + good + "}", 8), true},
      {"two tensors", file_of("{" + good + "," + next + "}", 12), true},
      {"two tensors, the later first", file_of("{" + next + "," + good + "}", 12), true},
      {"padding", file_of("{" + good + "}      ", 8), true},
      {"a scalar", file_of("{" + entry("a", "F32", "[]", "[0,4]") + "}", 4), true},
      {"a zero dimension", file_of("{" + entry("a", "F32", "[0,5]", "[0,0]") + "}", 0), true},
      {"rank 8", file_of("{" + entry("a", "U8", "[1,1,1,1,1,1,1,1]", "[0,1]") + "}", 1), true},
      {"metadata", file_of("{\"__metadata__\":{\"k\":\"v\"}," + good + "}", 8), true},
      {"nothing", "", false},
      {"seven bytes", "1234567", false},
      {"a length of 2^64-1", file_of(~0ull, "{}", 0), false},
      {"a length over the limit", file_of(100'000'001, "{}", 0), false},
      {"a length beyond the file", file_of(100, "{}", 0), false},
      {"an empty header", file_of(0, "", 0), false},
      {"a leading space", file_of(" {}", 0), false},
      {"not an object", file_of("[]", 0), false},
      {"cut JSON", file_of("{" + good, 8), false},
      {"two documents", file_of("{}{}", 0), false},
      {"not UTF-8", file_of("{" + entry("\xFF", "F32", "[2]", "[0,8]") + "}", 8), false},
      {"deep", file_of("{\"a\":" + std::string(1'000'000, '['), 0), false},
      {"deep objects", file_of("{\"a\":{\"a\":{\"a\":{}}}}", 0), false},
      {"a name twice", file_of("{" + good + "," + good + "}", 8), false},
      {"metadata twice", file_of("{\"__metadata__\":{},\"__metadata__\":{}}", 0), false},
      {"a metadata key twice", file_of("{\"__metadata__\":{\"a\":\"\",\"a\":\"\"}}", 0), false},
      {"a number in metadata", file_of("{\"__metadata__\":{\"a\":1}}", 0), false},
      {"a list as metadata", file_of("{\"__metadata__\":[]}", 0), false},
      {"a field twice",
       file_of("{\"a\":{\"dtype\":\"U8\",\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1]}}",
               1),
       false},
      {"an unknown field", file_of("{\"a\":{\"dtype\":\"U8\",\"x\":1}}", 0), false},
      {"a missing field", file_of("{\"a\":{\"dtype\":\"U8\",\"shape\":[0]}}", 0), false},
      {"a string as tensor", file_of("{\"a\":\"b\"}", 0), false},
      {"null as tensor", file_of("{\"a\":null}", 0), false},
      {"an unknown dtype", file_of("{" + entry("a", "F31", "[2]", "[0,8]") + "}", 8), false},
      {"a number as dtype",
       file_of("{\"a\":{\"dtype\":1,\"shape\":[0],\"data_offsets\":[0,0]}}", 0), false},
      {"a string as shape", file_of("{" + entry("a", "U8", "\"x\"", "[0,1]") + "}", 1), false},
      {"a string in a shape", file_of("{" + entry("a", "U8", "[\"x\"]", "[0,1]") + "}", 1), false},
      {"a nested shape", file_of("{" + entry("a", "U8", "[[1]]", "[0,1]") + "}", 1), false},
      {"an object in a shape", file_of("{" + entry("a", "U8", "[{}]", "[0,1]") + "}", 1), false},
      {"a negative dimension", file_of("{" + entry("a", "U8", "[-1]", "[0,1]") + "}", 1), false},
      {"a fractional dimension", file_of("{" + entry("a", "U8", "[1.0]", "[0,1]") + "}", 1), false},
      {"a dimension of 2^64",
       file_of("{" + entry("a", "U8", "[18446744073709551616]", "[0,0]") + "}", 0), false},
      {"rank 9", file_of("{" + entry("a", "U8", "[1,1,1,1,1,1,1,1,1]", "[0,1]") + "}", 1), false},
      {"a product that wraps to little",
       file_of("{" + entry("a", "F32", "[4194305,4194305,211106198978564]", "[0,4]") + "}", 4),
       false},
      {"a product that wraps to zero",
       file_of("{" + entry("a", "F32", "[9223372036854775808,2]", "[0,0]") + "}", 0), false},
      {"size over the shape", file_of("{" + entry("a", "F32", "[2]", "[0,12]") + "}", 12), false},
      {"size under the shape", file_of("{" + entry("a", "F32", "[2]", "[0,4]") + "}", 4), false},
      {"end before begin",
       file_of(
           "{" + entry("a", "U8", "[0]", "[0,0]") + "," + entry("b", "U8", "[1]", "[1,0]") + "}",
           1),
       false},
      {"offsets beyond the file", file_of("{" + good + "}", 7), false},
      {"offsets of 2^64-1",
       file_of("{" + entry("a", "U8", "[18446744073709551615]", "[0,18446744073709551615]") + "}",
               0),
       false},
      {"one offset", file_of("{" + entry("a", "U8", "[0]", "[0]") + "}", 0), false},
      {"three offsets", file_of("{" + entry("a", "U8", "[0]", "[0,0,0]") + "}", 0), false},
      {"a hole at the start", file_of("{" + entry("a", "U8", "[4]", "[4,8]") + "}", 8), false},
      {"a hole between", file_of("{" + good + "," + entry("b", "U8", "[4]", "[9,13]") + "}", 13),
       false},
      {"an overlap", file_of("{" + good + "," + entry("b", "U8", "[4]", "[7,11]") + "}", 11),
       false},
      {"the same bytes twice",
       file_of("{" + good + "," + entry("b", "F32", "[2]", "[0,8]") + "}", 8), false},
      {"bytes after the last", file_of("{" + good + "}", 9), false},
      {"an empty name", file_of("{" + entry("", "F32", "[2]", "[0,8]") + "}", 8), false},
      {"a parent name", file_of("{" + entry("../x", "F32", "[2]", "[0,8]") + "}", 8), false},
      {"a parent inside", file_of("{" + entry("a/../x", "F32", "[2]", "[0,8]") + "}", 8), false},
      {"an absolute name", file_of("{" + entry("/x", "F32", "[2]", "[0,8]") + "}", 8), false},
      {"NUL", file_of("{" + entry("a\\u0000b", "F32", "[2]", "[0,8]") + "}", 8), false},
      {"a name of 255", file_of("{" + entry(std::string(255, 'n'), "F32", "[2]", "[0,8]") + "}", 8),
       true},
      {"a name of 256", file_of("{" + entry(std::string(256, 'n'), "F32", "[2]", "[0,8]") + "}", 8),
       false},
      {"two dots that are no parent", file_of("{" + entry("a..b", "F32", "[2]", "[0,8]") + "}", 8),
       true},
  };
  for (const auto& row : rows) {
    const auto content = parse_safetensors(as_bytes(row.file), "where");
    EXPECT_EQ(content.ok(), row.accepted)
        << row.what << (content.ok() ? "" : ": " + content.error().text());
    if (content.ok()) continue;
    const Code code = content.error().code;
    EXPECT_TRUE(code == Code::kCheckpoint || code == Code::kPath) << content.error().text();
    EXPECT_LT(content.error().text().size(), 400u) << row.what;
  }
}

TEST(Safetensors, SurvivesEveryTruncationAndRandomDamage) {
  const ScratchFolder folder;
  const Bytes bytes(24);
  ASSERT_TRUE(
      write_safetensors(folder / "f", {{"a", "F32", {2, 3}, bytes}, {"b", "U8", {24}, bytes}})
          .ok());
  const std::string file = get(folder / "f");
  for (std::size_t size = 0; size < file.size(); ++size) {
    EXPECT_FALSE(parse_safetensors(as_bytes(file).first(size), "x").ok()) << size;
  }
  const Random random(1, "damage");
  for (std::uint64_t round = 0; round < 20'000; ++round) {
    std::string damaged = file;
    for (std::uint64_t flip = 0; flip < 2; ++flip) {
      damaged[random.below(damaged.size() - 48, round, flip)] =
          static_cast<char>(random.bits(round, flip));
    }
    (void)parse_safetensors(as_bytes(damaged), "x");
  }
}

TEST(Safetensors, RefusesToWriteWhatItWouldNotRead) {
  const ScratchFolder folder;
  const Bytes four(4);
  const std::vector<TensorView> bad[] = {
      {{"a", "F32", {2}, four}},
      {{"a", "F31", {1}, four}},
      {{"a", "U8", {UINT64_MAX, 2}, four}},
      {{"a", "F32", {1}, four}, {"a", "I32", {1}, four}},
      {{"../a", "F32", {1}, four}},
      {{"\xFF", "F32", {1}, four}},
      {{"__metadata__", "F32", {1}, four}},
  };
  for (const auto& tensors : bad) {
    EXPECT_FALSE(write_safetensors(folder / "f", tensors).ok()) << tensors[0].name;
  }
  EXPECT_TRUE(folder.list().empty());
}

TEST(Safetensors, OpensNeitherLinksNorFifosNorOutside) {
  const ScratchFolder folder;
  ASSERT_TRUE(write_safetensors(folder / "real", {}).ok());
  std::filesystem::create_symlink("real", folder / "link");
  ASSERT_EQ(::mkfifo((folder / "fifo").c_str(), 0600), 0);
  for (const char* name : {"link", "fifo", "absent", "../real", "/etc/passwd", "", ".", ".."}) {
    const auto file = SafetensorsFile::open(folder.path(), name);
    ASSERT_FALSE(file.ok()) << name;
    EXPECT_EQ(file.error().code, Code::kPath) << name;
  }
}

}  // namespace
}  // namespace reef::checkpoint
