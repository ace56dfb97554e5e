#include "actors/checkpoint/format/checkpoint.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <deque>

#include "tests/unit/scratch_folder.h"

namespace reef::checkpoint {
namespace {

namespace fs = std::filesystem;

class Checkpoints : public ::testing::Test {
 protected:
  TensorView tensor(const std::string& name, float& value) const {
    return {name, "F32", {1}, std::as_bytes(std::span(&value, 1))};
  }

  Description description(std::uint64_t step) const {
    return {.step = step, .job = "job", .seed = 7, .model = {{"n_head", 2}}, .state = {{"x", 1.5}}};
  }

  /// Two parts: w with its moments, and v.
  Result<fs::path> write(std::uint64_t step) {
    float w = static_cast<float>(step);
    float m = 1;
    float v = 2;
    ATOLL_ASSIGN(CheckpointWriter writer, CheckpointWriter::begin(folder_.path(), step));
    ATOLL_TRY(writer.add_part({tensor("w", w), tensor("w.adam_m", m), tensor("w.adam_v", v)}));
    ATOLL_TRY(writer.add_part({tensor("v", v)}));
    return writer.commit(description(step));
  }

  fs::path step_folder(std::uint64_t step) const { return folder_ / folder_name(step); }

  void flip_last_byte(const fs::path& file) {
    std::string bytes = get(file);
    bytes.back() ^= 1;
    put(file, bytes);
  }

  ScratchFolder folder_;
};

TEST_F(Checkpoints, ReadBackWhatWasWritten) {
  const auto path = write(100);
  ASSERT_TRUE(path.ok()) << path.error().text();
  EXPECT_EQ(path->filename(), "step-00000100");
  const auto checkpoint = Checkpoint::open(*path);
  ASSERT_TRUE(checkpoint.ok()) << checkpoint.error().text();
  EXPECT_EQ(checkpoint->names(), (std::vector<std::string>{"v", "w", "w.adam_m", "w.adam_v"}));
  EXPECT_EQ(load<float>(checkpoint->find("w")->bytes.data()), 100.0f);
  EXPECT_EQ(checkpoint->find("absent"), nullptr);
  EXPECT_EQ(checkpoint->step(), 100u);
  EXPECT_EQ(checkpoint->description().job, "job");
  EXPECT_EQ(checkpoint->description().seed, 7u);
  EXPECT_EQ(checkpoint->description().model, description(0).model);
  EXPECT_EQ(checkpoint->description().state, description(0).state);
  EXPECT_TRUE(checkpoint->check_job("job").ok());
  EXPECT_EQ(checkpoint->check_job("other").error().code, Code::kCheckpoint);
  EXPECT_TRUE(is_moment("w.adam_m") && is_moment("w.adam_v") && !is_moment("w"));
  EXPECT_TRUE(is_weight("h.0.mlp.c_fc.weight") && !is_weight("w.adam_m"));
  EXPECT_FALSE(is_weight("wte.weight@head.residual.r0.k1") || is_weight("s0.warm.r0.k1"));
}

TEST_F(Checkpoints, SurviveBeingMoved) {
  auto opened = Checkpoint::open(*write(1));
  const Checkpoint moved = std::move(opened).value();
  EXPECT_EQ(load<float>(moved.find("w")->bytes.data()), 1.0f);
}

TEST_F(Checkpoints, LeaveNothingWhenTheWriterDies) {
  float value = 1;
  {
    auto writer = CheckpointWriter::begin(folder_.path(), 5);
    ASSERT_TRUE(writer.ok());
    ASSERT_TRUE(writer->add_part({tensor("w", value)}).ok());
    EXPECT_EQ(folder_.list(), std::vector<std::string>{".step-00000005.tmp"});
    EXPECT_FALSE(latest(folder_.path())->has_value());
  }
  EXPECT_TRUE(folder_.list().empty());
}

TEST_F(Checkpoints, IgnoreAndRemoveWhatACrashLeft) {
  ASSERT_TRUE(write(5).ok());
  put(folder_ / ".step-00000010.tmp/part-00000.safetensors", "half");
  EXPECT_EQ((*latest(folder_.path()))->step(), 5u);
  ASSERT_TRUE(write(10).ok());
  put(folder_ / ".step-00000015.tmp/part-00000.safetensors", "half");
  put(folder_ / "notes.txt", "mine");
  ASSERT_TRUE(prune(folder_.path(), 9).ok());
  auto names = folder_.list();
  std::sort(names.begin(), names.end());
  EXPECT_EQ(names, (std::vector<std::string>{"notes.txt", "step-00000005", "step-00000010"}));
}

TEST_F(Checkpoints, RefuseATensorInTwoParts) {
  float value = 1;
  auto writer = CheckpointWriter::begin(folder_.path(), 5);
  ASSERT_TRUE(writer->add_part({tensor("w", value)}).ok());
  EXPECT_EQ(writer->add_part({tensor("w", value)}).error().code, Code::kTensor);
}

TEST_F(Checkpoints, ReplaceTheSameStep) {
  ASSERT_TRUE(write(5).ok());
  flip_last_byte(step_folder(5) / "part-00000.safetensors");
  EXPECT_FALSE(Checkpoint::open(step_folder(5)).ok());
  ASSERT_TRUE(write(5).ok());
  EXPECT_TRUE(Checkpoint::open(step_folder(5)).ok());
  EXPECT_EQ(folder_.list().size(), 1u);
}

TEST_F(Checkpoints, FallBackPastDamage) {
  for (const std::uint64_t step : {100, 200, 300}) ASSERT_TRUE(write(step).ok());
  flip_last_byte(step_folder(300) / "part-00001.safetensors");
  fs::remove(step_folder(200) / "manifest.json");
  std::vector<Error> skipped;
  const auto found = latest(folder_.path(), &skipped);
  ASSERT_TRUE(found.ok() && found->has_value());
  EXPECT_EQ((*found)->step(), 100u);
  ASSERT_EQ(skipped.size(), 2u);
  EXPECT_EQ(skipped[0].code, Code::kCheckpoint);
  EXPECT_NE(skipped[0].where.find("step-00000300/part-00001"), std::string::npos);
  EXPECT_NE(skipped[1].where.find("step-00000200"), std::string::npos);

  fs::resize_file(step_folder(100) / "part-00000.safetensors", 20);
  const auto none = latest(folder_.path());
  ASSERT_FALSE(none.ok());
  EXPECT_EQ(none.error().code, Code::kCheckpoint);
  for (const char* step : {"100", "200", "300"}) {
    EXPECT_NE(none.error().what.find(step), std::string::npos) << none.error().text();
  }
}

TEST_F(Checkpoints, HaveNoLatestBeforeTheFirst) {
  EXPECT_FALSE(latest(folder_.path())->has_value());
  EXPECT_FALSE(latest(folder_ / "absent")->has_value());
  EXPECT_TRUE(prune(folder_ / "absent", 3).ok());
}

TEST_F(Checkpoints, ArePrunedToTheNewest) {
  for (const std::uint64_t step : {1, 9, 10, 123456789}) ASSERT_TRUE(write(step).ok());
  EXPECT_EQ(*list_steps(folder_.path()), (std::vector<std::uint64_t>{1, 9, 10, 123456789}));
  ASSERT_TRUE(prune(folder_.path(), 2).ok());
  EXPECT_EQ(*list_steps(folder_.path()), (std::vector<std::uint64_t>{10, 123456789}));
  ASSERT_TRUE(prune(folder_.path(), 0).ok());
  EXPECT_EQ(*list_steps(folder_.path()), (std::vector<std::uint64_t>{123456789}));
  EXPECT_EQ(folder_.list().size(), 1u);
}

TEST_F(Checkpoints, AreNotFooledByNamesAndLinks) {
  ASSERT_TRUE(write(5).ok());
  fs::create_directory(folder_ / "step-6");
  fs::create_directory(folder_ / "step-00000007.old");
  fs::create_directory(folder_ / "step-99999999999999999999999");
  put(folder_ / "step-00000008", "a file");
  fs::create_directory_symlink(step_folder(5), step_folder(9));
  EXPECT_EQ(*list_steps(folder_.path()), (std::vector<std::uint64_t>{5}));
  fs::rename(step_folder(5), folder_ / "step-00000050");
  EXPECT_FALSE(latest(folder_.path()).ok());
}

std::string replaced(std::string text, const std::string& from, const std::string& to) {
  const std::size_t at = text.find(from);
  EXPECT_NE(at, text.npos) << from;
  return at == text.npos ? text : text.replace(at, from.size(), to);
}

TEST_F(Checkpoints, RefuseHostileManifests) {
  ASSERT_TRUE(write(5).ok());
  const fs::path path = step_folder(5) / "manifest.json";
  const std::string good = get(path);
  ASSERT_TRUE(Checkpoint::open(step_folder(5)).ok());
  const std::pair<const char*, std::string> rows[] = {
      {"empty", ""},
      {"cut", good.substr(0, good.size() / 2)},
      {"a list", "[]"},
      {"deep", std::string(100'000, '[')},
      {"only a kind", R"({"kind":"Checkpoint","version":1})"},
      {"another kind", replaced(good, "\"Checkpoint\"", "\"TokenShards\"")},
      {"another version", replaced(good, "\"version\": 1", "\"version\": 4")},
      {"version as text", replaced(good, "\"version\": 1", "\"version\": \"1\"")},
      {"a negative step", replaced(good, "\"seed\": 7", "\"seed\": -7")},
      {"a fractional seed", replaced(good, "\"seed\": 7", "\"seed\": 7.5")},
      {"a number as job", replaced(good, "\"job\": \"job\"", "\"job\": 3")},
      {"a parent folder", replaced(good, "part-00000", "../part-00000")},
      {"an absolute path", replaced(good, "part-00000.safetensors", "/etc/passwd")},
      {"a missing part", replaced(good, "part-00000", "part-00009")},
      {"the same part twice", replaced(good, "part-00001", "part-00000")},
      {"a wrong hash", replaced(good, "\"sha256\": \"", "\"sha256\": \"0")},
      {"a wrong size", replaced(good, "\"bytes\": ", "\"bytes\": 1")},
      {"a tensor that is not there", replaced(good, "\"w\":", "\"u\":")},
      {"a tensor elsewhere", replaced(good, "\"part\": 1", "\"part\": 0")},
      {"parts as object", replaced(good, "\"parts\": [", "\"parts\": {}, \"x\": [")},
      {"a key twice", replaced(good, "{", "{\"kind\":\"Checkpoint\",")},
  };
  for (const auto& [what, text] : rows) {
    put(path, text);
    const auto opened = Checkpoint::open(step_folder(5));
    ASSERT_FALSE(opened.ok()) << what;
    EXPECT_TRUE(opened.error().code == Code::kCheckpoint || opened.error().code == Code::kPath)
        << what << opened.error().text();
  }
}

/// w, 2 x 3, cut into three parts, and v, which is one slice.
class SlicedCheckpoints : public Checkpoints {
 protected:
  SlicedCheckpoints() {
    auto writer = CheckpointWriter::begin(folder_.path(), 5).value();
    EXPECT_TRUE(writer.add_part(std::vector{slice(3, 1), whole()}).ok());
    EXPECT_TRUE(writer.add_part(std::vector{slice(0, 3)}).ok());
    EXPECT_TRUE(writer.add_part(std::vector{slice(4, 2)}).ok());
    EXPECT_EQ(writer.add_part(std::vector{slice(4, 2)}).error().code, Code::kTensor);
    EXPECT_EQ(writer.add_part(std::vector{whole()}).error().code, Code::kTensor);
    EXPECT_TRUE(writer.commit(description(5)).ok());
  }

  TensorSlice slice(std::size_t first, std::size_t count) const {
    const auto run = std::span(w_).subspan(first, count);
    return {{"w", "F32", {count}, std::as_bytes(run)}, {2, 3}, first};
  }
  TensorSlice whole() const { return {{"v", "F32", {6}, std::as_bytes(std::span(w_))}, {3, 2}, 0}; }

  const std::vector<float> w_{0, 1, 2, 3, 4, 5};
};

TEST_F(SlicedCheckpoints, AreReadInWhateverSlices) {
  const auto checkpoint = Checkpoint::open(step_folder(5));
  ASSERT_TRUE(checkpoint.ok()) << checkpoint.error().text();
  for (std::size_t first = 0; first <= w_.size(); ++first) {
    for (std::size_t count = 0; first + count <= w_.size(); ++count) {
      std::vector<float> read(count);
      ASSERT_TRUE(checkpoint->read("w", 6, first, read).ok());
      EXPECT_TRUE(std::ranges::equal(read, std::span(w_).subspan(first, count)));
    }
  }
  std::vector<float> read(2);
  EXPECT_EQ(checkpoint->read("w", 6, 5, read).error().code, Code::kCheckpoint);
  EXPECT_EQ(checkpoint->read("w", 5, 0, read).error().code, Code::kCheckpoint);
  EXPECT_EQ(checkpoint->read("u", 6, 0, read).error().code, Code::kCheckpoint);
}

TEST_F(SlicedCheckpoints, AreJoinedWhereATensorIsAskedFor) {
  const Checkpoint checkpoint = Checkpoint::open(step_folder(5)).value();
  const TensorView* w = checkpoint.find("w");
  ASSERT_NE(w, nullptr);
  EXPECT_EQ(w->shape, (std::vector<std::uint64_t>{2, 3}));
  EXPECT_TRUE(std::ranges::equal(w->bytes, std::as_bytes(std::span(w_))));
  EXPECT_EQ(checkpoint.find("w"), w);
  EXPECT_EQ(checkpoint.find("v")->shape, (std::vector<std::uint64_t>{3, 2}));
  EXPECT_EQ(checkpoint.names(), (std::vector<std::string>{"v", "w"}));
}

TEST_F(SlicedCheckpoints, RefuseSlicesThatDoNotMakeUpTheTensor) {
  const fs::path path = step_folder(5) / "manifest.json";
  const auto good = nlohmann::json::parse(get(path));
  EXPECT_EQ(good["version"], 2);
  const auto refused = [&](const char* what, auto change) {
    nlohmann::json manifest = good;
    change(manifest["tensors"]["w"]);
    put(path, manifest.dump());
    const auto opened = Checkpoint::open(step_folder(5));
    ASSERT_FALSE(opened.ok()) << what;
    EXPECT_EQ(opened.error().code, Code::kCheckpoint) << what;
  };
  using Json = nlohmann::json;
  refused("a gap", [](Json& w) { w["slices"][2]["first"] = 5; });
  refused("an overlap", [](Json& w) { w["slices"][2]["first"] = 3; });
  refused("a slice missing", [](Json& w) { w["slices"].erase(2); });
  refused("a slice twice", [](Json& w) { w["slices"].push_back(w["slices"][2]); });
  refused("no slices", [](Json& w) { w["slices"] = Json::array(); });
  refused("slices as a number", [](Json& w) { w["slices"] = 3; });
  refused("a part that is not there", [](Json& w) { w["slices"][0]["part"] = 3; });
  refused("another shape", [](Json& w) { w["shape"] = {7}; });
  refused("a shape that overflows", [](Json& w) { w["shape"] = {1ull << 63, 1ull << 63}; });
  refused("a negative extent", [](Json& w) { w["shape"] = {-2, -3}; });
  refused("a slice as the tensor", [](Json& w) { w = {{"part", 0}}; });
}

/// w, 2 x 6, of which two ranks have columns {0, 1, 3} and {2, 4, 5}; the second rank's in two
/// runs.
class SharedCheckpoints : public Checkpoints {
 protected:
  SharedCheckpoints() {
    auto writer = CheckpointWriter::begin(folder_.path(), 5).value();
    EXPECT_TRUE(writer.add_part(std::vector{slice(first_, 0, {0, 1, 3, 6, 7, 9})}).ok());
    EXPECT_TRUE(writer.add_part(std::vector{slice(second_, 0, {2, 4})}).ok());
    EXPECT_TRUE(writer.add_part(std::vector{slice(second_, 2, {5, 8, 10, 11})}).ok());
    EXPECT_EQ(writer.add_part(std::vector{slice(second_, 2, {5})}).error().code, Code::kTensor);
    EXPECT_TRUE(writer.commit(description(5)).ok());
  }

  TensorSlice slice(const nn::Part& part, std::uint64_t first, std::vector<float> values) {
    const std::vector<float>& kept = values_.emplace_back(std::move(values));
    return {{"w", "F32", {kept.size()}, std::as_bytes(std::span(kept))}, {2, 6}, first, part};
  }

  const nn::Part first_{{2, 6}, 1, {{0, 2}, {3, 1}}}, second_{{2, 6}, 1, {{2, 1}, {4, 2}}};
  std::deque<std::vector<float>> values_;
};

TEST_F(SharedCheckpoints, AreReadWhoeverHeldWhichPart) {
  const auto checkpoint = Checkpoint::open(step_folder(5));
  ASSERT_TRUE(checkpoint.ok()) << checkpoint.error().text();
  for (std::size_t first = 0; first <= 12; ++first) {
    for (std::size_t count = 0; first + count <= 12; ++count) {
      std::vector<float> read(count);
      ASSERT_TRUE(checkpoint->read("w", 12, first, read).ok());
      for (std::size_t i = 0; i < count; ++i) EXPECT_EQ(read[i], static_cast<float>(first + i));
    }
  }
  const TensorView* w = checkpoint->find("w");
  ASSERT_NE(w, nullptr);
  EXPECT_EQ(w->shape, (std::vector<std::uint64_t>{2, 6}));
  for (std::size_t i = 0; i < 12; ++i) {
    float value = -1;
    std::memcpy(&value, w->bytes.data() + i * sizeof value, sizeof value);
    EXPECT_EQ(value, static_cast<float>(i));
  }
}

TEST_F(SharedCheckpoints, RefusePartsThatAreNone) {
  const fs::path path = step_folder(5) / "manifest.json";
  const auto good = nlohmann::json::parse(get(path));
  EXPECT_EQ(good["version"], 3);
  const auto refused = [&](const char* what, auto change) {
    nlohmann::json manifest = good;
    change(manifest["tensors"]["w"]["slices"][0]);
    put(path, manifest.dump());
    const auto opened = Checkpoint::open(step_folder(5));
    ASSERT_FALSE(opened.ok()) << what;
    EXPECT_EQ(opened.error().code, Code::kCheckpoint) << what;
  };
  using Json = nlohmann::json;
  refused("an axis too far", [](Json& s) { s["axis"] = 2; });
  refused("a negative axis", [](Json& s) { s["axis"] = -1; });
  refused("no axis", [](Json& s) { s.erase("axis"); });
  refused("no ranges", [](Json& s) { s.erase("ranges"); });
  refused("an empty list of ranges", [](Json& s) { s["ranges"] = Json::array(); });
  refused("an empty range", [](Json& s) { s["ranges"][0] = {0, 0}; });
  refused("a range past the end", [](Json& s) { s["ranges"][1] = {3, 4}; });
  refused("a range that overflows", [](Json& s) { s["ranges"][1] = {3, 1ull << 63}; });
  refused("ranges in another order", [](Json& s) { s["ranges"] = {{3, 1}, {0, 2}}; });
  refused("ranges that overlap", [](Json& s) { s["ranges"] = {{0, 2}, {1, 1}}; });
  refused("a range of three", [](Json& s) { s["ranges"][0] = 3; });
  refused("others' columns", [](Json& s) { s["ranges"][1] = {2, 1}; });
  refused("fewer than the run", [](Json& s) { s["ranges"] = {{0, 2}}; });
  refused("a run from too far on", [](Json& s) { s["first"] = 1; });
}

TEST_F(Checkpoints, RefuseMomentsWithoutTheirWeight) {
  float value = 1;
  auto writer = CheckpointWriter::begin(folder_.path(), 5);
  ASSERT_TRUE(writer->add_part({tensor("w.adam_m", value)}).ok());
  const auto path = writer->commit(description(5));
  ASSERT_TRUE(path.ok());
  EXPECT_EQ(Checkpoint::open(*path).error().code, Code::kCheckpoint);
}

TEST_F(Checkpoints, RefuseLinkedParts) {
  ASSERT_TRUE(write(5).ok());
  const fs::path part = step_folder(5) / "part-00000.safetensors";
  fs::rename(part, folder_ / "elsewhere");
  fs::create_symlink(folder_ / "elsewhere", part);
  EXPECT_EQ(Checkpoint::open(step_folder(5)).error().code, Code::kPath);
}

}  // namespace
}  // namespace reef::checkpoint
