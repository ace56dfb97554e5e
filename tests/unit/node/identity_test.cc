#include "runtime/node/identity.h"

#include <sys/stat.h>

#include "runtime/base/file.h"
#include "scratch_folder.h"

namespace reef::node {
namespace {

class IdentityFolder : public testing::Test {
 protected:
  void SetUp() override { write("me", authority_, key_); }

  void write(const std::string& name, const security::Authority& authority,
             const security::NodeKey& key) {
    const Status status = write_identity(folder_ / name, authority, name, security::Role::kNode,
                                         "east", key, scheduler_.noise_key());
    ASSERT_TRUE(status.ok()) << status.error().text();
  }
  void expect_refused(Code code) {
    const auto identity = load_identity(folder_ / "me");
    ASSERT_FALSE(identity.ok());
    EXPECT_EQ(identity.error().code, code) << identity.error().text();
  }
  void replace(const std::string& file, const std::filesystem::path& by) {
    std::filesystem::copy_file(by, folder_ / "me" / file,
                               std::filesystem::copy_options::overwrite_existing);
  }

  ScratchFolder folder_;
  security::Authority authority_ = security::Authority::generate();
  security::NodeKey key_ = security::NodeKey::generate();
  security::NodeKey scheduler_ = security::NodeKey::generate();
};

TEST_F(IdentityFolder, ReadsWhatWasWritten) {
  const auto identity = load_identity(folder_ / "me");
  ASSERT_TRUE(identity.ok()) << identity.error().text();
  EXPECT_EQ(identity->name, "me");
  EXPECT_EQ(identity->datacenter, "east");
  EXPECT_EQ(identity->scheduler, scheduler_.noise_key());
  EXPECT_EQ(identity->local.role, security::Role::kNode);
  EXPECT_EQ(identity->local.cluster, authority_.cluster());
  EXPECT_EQ(identity->local.authority, authority_.public_key());
  EXPECT_EQ(identity->local.key->id(), key_.id());
}

TEST_F(IdentityFolder, KeepsTheKeyFromOthers) {
  struct ::stat status {};
  ASSERT_EQ(::stat((folder_ / "me" / "node.key").c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777, 0600u);
}

TEST_F(IdentityFolder, RefusesAKeyThatOthersMayRead) {
  ASSERT_EQ(::chmod((folder_ / "me" / "node.key").c_str(), 0644), 0);
  expect_refused(Code::kKeyPerm);
  EXPECT_EQ(code_name(Code::kKeyPerm), "E_KEY_PERM");
}

TEST_F(IdentityFolder, RefusesTheCredentialOfAnotherMember) {
  write("other", authority_, security::NodeKey::generate());
  replace("credential", folder_ / "other" / "credential");
  expect_refused(Code::kRefused);
}

TEST_F(IdentityFolder, RefusesACredentialOfAnotherAuthority) {
  write("foreign", security::Authority::generate(), key_);
  replace("credential", folder_ / "foreign" / "credential");
  expect_refused(Code::kRefused);
}

TEST_F(IdentityFolder, RefusesAnAuthorityThatDidNotSign) {
  write("foreign", security::Authority::generate(), key_);
  replace("authority.pub", folder_ / "foreign" / "authority.pub");
  expect_refused(Code::kRefused);
}

TEST_F(IdentityFolder, NamesTheFileOfABrokenCredential) {
  ASSERT_TRUE(write_file(folder_ / "me" / "credential", as_bytes("none")).ok());
  expect_refused(Code::kRefused);
  EXPECT_EQ(load_identity(folder_ / "me").error().where, (folder_ / "me" / "credential").string());
}

TEST_F(IdentityFolder, RefusesADamagedFolder) {
  for (const char* file : {"node.key", "credential", "authority.pub", "scheduler.pub"}) {
    SCOPED_TRACE(file);
    write("me", authority_, key_);
    ASSERT_TRUE(load_identity(folder_ / "me").ok());
    std::filesystem::resize_file(folder_ / "me" / file, 5);
    EXPECT_FALSE(load_identity(folder_ / "me").ok());
    std::filesystem::remove(folder_ / "me" / file);
    EXPECT_FALSE(load_identity(folder_ / "me").ok());
  }
}

}  // namespace
}  // namespace reef::node
