#include "ops/tune/cache.h"

#include <gtest/gtest.h>

#include <thread>
#include <vector>

#include "runtime/base/bytes.h"
#include "runtime/base/file.h"
#include "tests/unit/scratch_folder.h"

namespace reef::ops::tune {
namespace {

TEST(Cache, IsEmptyWithoutAFile) {
  const ScratchFolder folder;
  const Cache cache(folder / "tune.json");
  EXPECT_TRUE(cache.read("here").value().empty());
  EXPECT_FALSE(cache.clear().value());
}

TEST(Cache, GivesBackWhatItWasGiven) {
  const ScratchFolder folder;
  const Cache cache(folder / "deep");
  const Choices choices{{"matmul \"odd\" (1, 2)", {"tall", 1.5e-5}}, {"other", {"wide", 2e-3}}};
  ASSERT_TRUE(cache.merge("here", choices).ok());
  EXPECT_EQ(cache.read("here").value(), choices);
  EXPECT_TRUE(cache.read("another processor").value().empty());
  EXPECT_TRUE(cache.clear().value());
  EXPECT_TRUE(cache.read("here").value().empty());
}

TEST(Cache, AddsToWhatIsThereAndTheLaterStays) {
  const ScratchFolder folder;
  const Cache cache(folder / "tune.json");
  ASSERT_TRUE(cache.merge("here", {{"a", {"one", 1}}, {"b", {"one", 1}}}).ok());
  ASSERT_TRUE(cache.merge("there", {{"a", {"two", 2}}}).ok());
  ASSERT_TRUE(cache.merge("here", {{"b", {"three", 3}}}).ok());
  EXPECT_EQ(cache.read("here").value(), (Choices{{"a", {"one", 1}}, {"b", {"three", 3}}}));
  EXPECT_EQ(cache.read("there").value(), (Choices{{"a", {"two", 2}}}));
}

TEST(Cache, LosesNothingOfWritersAtOnce) {
  const ScratchFolder folder;
  std::vector<std::thread> writers;
  for (int writer = 0; writer < 4; ++writer) {
    writers.emplace_back([&folder, writer] {
      const Cache cache(folder / "tune.json");
      for (int i = 0; i < 10; ++i) {
        const std::string call = std::to_string(writer) + "/" + std::to_string(i);
        EXPECT_TRUE(cache.merge("here", {{call, {"kernel", 1}}}).ok());
      }
    });
  }
  for (std::thread& writer : writers) writer.join();
  EXPECT_EQ(Cache(folder / "tune.json").read("here").value().size(), 40u);
}

TEST(Cache, LeavesAloneWhatIsNotItsOwn) {
  const std::string rows[] = {
      "",
      "{",
      "[1, 2]",
      "{\"format\": 2, \"processors\": {}}",
      "{\"format\": 1}",
      "{\"format\": 1, \"processors\": 3}",
      "{\"format\": 1, \"processors\": {\"x\": [1]}}",
      "{\"format\": 1, \"processors\": {\"x\": {\"call\": \"tall\"}}}",
      "{\"format\": 1, \"processors\": {\"x\": {\"call\": {\"kernel\": 3, \"seconds\": 1}}}}",
      "{\"format\": 1, \"processors\": {\"x\": {\"call\": {\"kernel\": \"tall\"}}}}",
      "\xff\xfe\x00",
  };
  const ScratchFolder folder;
  const Cache cache(folder / "tune.json");
  for (const std::string& text : rows) {
    ASSERT_TRUE(write_file(cache.path(), as_bytes(text)).ok());
    const auto read = cache.read("here");
    ASSERT_FALSE(read.ok()) << text;
    EXPECT_EQ(read.error().code, Code::kPath);
    EXPECT_NE(read.error().what.find("atoll tune clear"), std::string::npos);
    EXPECT_EQ(read.error().text().find('\n'), std::string::npos);
    EXPECT_FALSE(cache.merge("here", {{"a", {"one", 1}}}).ok()) << text;
    EXPECT_EQ(read_file(cache.path()).value(), text);
  }
  EXPECT_TRUE(cache.clear().value());
  EXPECT_TRUE(cache.merge("here", {{"a", {"one", 1}}}).ok());
}

TEST(DefaultCachePath, AsksTheEnvironment) {
  setenv("HOME", "/home/someone", 1);
  unsetenv("XDG_CACHE_HOME");
  unsetenv("ATOLL_CACHE");
  EXPECT_EQ(default_cache_path(), "/home/someone/.cache/atoll/tune.json");
  setenv("XDG_CACHE_HOME", "/caches", 1);
  EXPECT_EQ(default_cache_path(), "/caches/atoll/tune.json");
  setenv("ATOLL_CACHE", "/own", 1);
  EXPECT_EQ(default_cache_path(), "/own/tune.json");
  unsetenv("ATOLL_CACHE");
  unsetenv("XDG_CACHE_HOME");
  unsetenv("HOME");
  EXPECT_EQ(default_cache_path(), "");
}

}  // namespace
}  // namespace reef::ops::tune
