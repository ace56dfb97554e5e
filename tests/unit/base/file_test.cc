#include "runtime/base/file.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <future>
#include <memory>

namespace reef {
namespace {

namespace fs = std::filesystem;

class File : public testing::Test {
 protected:
  void SetUp() override {
    std::string name = (fs::temp_directory_path() / "atoll-file-XXXXXX").string();
    ASSERT_NE(mkdtemp(name.data()), nullptr);
    folder_ = name;
  }
  void TearDown() override { fs::remove_all(folder_); }

  std::size_t entries() const {
    return static_cast<std::size_t>(
        std::distance(fs::directory_iterator(folder_), fs::directory_iterator()));
  }

  fs::path folder_;
};

TEST_F(File, IsReplacedWhole) {
  const fs::path path = folder_ / "deep" / "file";
  ASSERT_TRUE(write_file(path, as_bytes("old")).ok());
  ASSERT_TRUE(write_file(path, as_bytes("new"), 0600).ok());
  EXPECT_EQ(read_file(path).value(), "new");
  struct stat status {};
  ASSERT_EQ(stat(path.c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777, 0600u);
}

TEST_F(File, LeavesNothingBehindUncommitted) {
  {
    auto file = AtomicFile::create(folder_ / "file");
    ASSERT_TRUE(file.ok());
    ASSERT_TRUE(file->write(as_bytes("half")).ok());
  }
  EXPECT_EQ(entries(), 0u);
}

TEST_F(File, RefusesWhatIsNoFileOrTooLarge) {
  EXPECT_EQ(read_file(folder_ / "missing").error().code, Code::kPath);
  EXPECT_EQ(read_file(folder_).error().code, Code::kPath);
  ASSERT_EQ(mkfifo((folder_ / "fifo").c_str(), 0600), 0);
  EXPECT_EQ(read_file(folder_ / "fifo").error().code, Code::kPath);
  ASSERT_TRUE(write_file(folder_ / "file", as_bytes("12345")).ok());
  EXPECT_TRUE(read_file(folder_ / "file", 5).ok());
  EXPECT_FALSE(read_file(folder_ / "file", 4).ok());
}

TEST_F(File, LockKeepsOthersOut) {
  const fs::path path = folder_ / "deep" / "lock";
  auto lock = std::make_unique<FileLock>(FileLock::take(path).value());
  std::atomic<bool> entered = false;
  auto other = std::async(std::launch::async, [&path, &entered] {
    const FileLock second = FileLock::take(path).value();
    entered = true;
  });
  EXPECT_EQ(other.wait_for(std::chrono::milliseconds(20)), std::future_status::timeout);
  EXPECT_FALSE(entered);
  const auto impatient = FileLock::take(path, std::chrono::milliseconds(20));
  EXPECT_EQ(impatient.error().code, Code::kTimedOut);
  EXPECT_EQ(impatient.error().where, path.string());
  lock.reset();
  other.get();
  EXPECT_TRUE(entered);
  EXPECT_EQ(FileLock::take(folder_).error().code, Code::kPath);
  // Whoever may open a lock may take it.
  EXPECT_EQ(fs::status(path).permissions(), fs::perms::owner_read | fs::perms::owner_write);
}

}  // namespace
}  // namespace reef
