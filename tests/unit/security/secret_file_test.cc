#include "security/identity/secret_file.h"

#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "runtime/base/file.h"
#include "security/crypto/process.h"
#include "tests/unit/scratch_folder.h"

namespace reef::security {
namespace {

class SecretFile : public testing::Test {
 protected:
  std::filesystem::path write(const std::string& name, unsigned mode = 0600) {
    const auto path = folder_ / name;
    EXPECT_TRUE(write_file(path, as_bytes("a secret"), mode).ok());
    return path;
  }
  void TearDown() override { ::unsetenv("CREDENTIALS_DIRECTORY"); }
  ScratchFolder folder_;
};

TEST_F(SecretFile, IsReadWhenItIsOursAlone) {
  for (const unsigned mode : {0600u, 0400u}) {
    const auto content = read_secret_file(write("secret", mode), 100);
    ASSERT_TRUE(content.ok()) << content.error().text();
    EXPECT_EQ(as_text(content->view()), "a secret");
  }
}

TEST_F(SecretFile, IsRefusedWhenOthersMayReadIt) {
  for (const unsigned mode : {0640u, 0604u, 0620u, 0700u, 0666u}) {
    const auto path = write("secret", mode);
    const auto content = read_secret_file(path, 100);
    ASSERT_FALSE(content.ok()) << mode;
    EXPECT_EQ(content.error().code, Code::kKeyPerm);
    EXPECT_NE(content.error().what.find("chmod 600 " + path.string()), std::string::npos);
  }
}

TEST_F(SecretFile, IsRefusedWhenItIsNoPlainFileOrTooLarge) {
  const auto path = write("secret");
  EXPECT_EQ(read_secret_file(path, 7).error().code, Code::kData);
  std::filesystem::create_symlink(path, folder_ / "link");
  EXPECT_EQ(read_secret_file(folder_ / "link", 100).error().code, Code::kPath);
  ASSERT_EQ(::mkfifo((folder_ / "fifo").c_str(), 0600), 0);
  EXPECT_EQ(read_secret_file(folder_ / "fifo", 100).error().code, Code::kPath);
  EXPECT_EQ(read_secret_file(folder_.path(), 100).error().code, Code::kPath);
  EXPECT_EQ(read_secret_file(folder_ / "absent", 100).error().code, Code::kPath);
}

TEST_F(SecretFile, ComesFromTheServicesCredentialsWhenItIsNotInItsPlace) {
  std::filesystem::create_directory(folder_ / "credentials");
  write("credentials/node.key");
  ASSERT_EQ(::setenv("CREDENTIALS_DIRECTORY", (folder_ / "credentials").c_str(), 1), 0);
  EXPECT_TRUE(read_secret_file(folder_ / "identity/node.key", 100).ok());
  EXPECT_FALSE(read_secret_file(folder_ / "identity/other.key", 100).ok());
  // A file that is in its place counts, though it is refused.
  write("node.key", 0644);
  EXPECT_EQ(read_secret_file(folder_ / "node.key", 100).error().code, Code::kKeyPerm);
}

TEST_F(SecretFile, OfSystemdMayShowTheMaskOfItsAccessList) {
  if (::geteuid() != 0) GTEST_SKIP() << "only root can make files of root";
  std::filesystem::create_directory(folder_ / "credentials");
  const auto path = write("credentials/node.key", 0440);
  EXPECT_EQ(read_secret_file(path, 100).error().code, Code::kKeyPerm);
  ASSERT_EQ(::setenv("CREDENTIALS_DIRECTORY", (folder_ / "credentials").c_str(), 1), 0);
  EXPECT_TRUE(read_secret_file(path, 100).ok());
  ASSERT_EQ(::chmod(path.c_str(), 0444), 0);
  EXPECT_EQ(read_secret_file(path, 100).error().code, Code::kKeyPerm);
}

TEST(ForbidCoreDumps, LeavesNeitherFileNorDebugger) {
  // In a process of its own, because the flag would stay.
  EXPECT_EXIT(
      {
        const bool forbidden = forbid_core_dumps().ok();
        struct rlimit limit {};
        ::getrlimit(RLIMIT_CORE, &limit);
        const bool good = forbidden && limit.rlim_cur == 0 && limit.rlim_max == 0 &&
                          ::prctl(PR_GET_DUMPABLE) == 0;
        ::_exit(good ? 0 : 1);
      },
      testing::ExitedWithCode(0), "");
}

}  // namespace
}  // namespace reef::security
