#include "runtime/node/identity.h"

#include <sys/stat.h>

#include "runtime/base/file.h"
#include "tests/unit/scratch_folder.h"

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

TEST_F(IdentityFolder, FollowsTheClustersPolicy) {
  if (!security::has_aes()) GTEST_SKIP() << "this processor has no AES instructions";
  const auto path = folder_ / "me" / "cluster.policy";
  const auto policy =
      security::sign_policy({4, security::Cipher::kAesGcm, std::chrono::hours(1)}, authority_);
  ASSERT_TRUE(write_file(path, as_bytes(*policy)).ok());
  const auto identity = load_identity(folder_ / "me").value();
  EXPECT_EQ(identity.local.suite, link::secure::SuiteId::kAesGcm);
  EXPECT_EQ(identity.policy.credential_lifetime, std::chrono::hours(1));
  const auto foreign = security::sign_policy({5}, security::Authority::generate());
  ASSERT_TRUE(write_file(path, as_bytes(*foreign)).ok());
  expect_refused(Code::kRefused);
}

TEST_F(IdentityFolder, HoldsARosterOfItsAuthority) {
  const auto path = folder_ / "me" / "roster";
  const auto roster = security::sign_roster({1, {5}, {}}, authority_).value();
  ASSERT_TRUE(save_roster(folder_ / "me", roster).ok());
  EXPECT_EQ(load_identity(folder_ / "me")->roster, roster);
  const auto foreign = security::sign_roster({2, {}, {}}, security::Authority::generate());
  ASSERT_TRUE(write_file(path, as_bytes(*foreign)).ok());
  expect_refused(Code::kRefused);
}

TEST_F(IdentityFolder, IsInstalledBesideWhatElseIsThere) {
  const auto mine = load_identity(folder_ / "me").value();
  security::Grant grant{mine.local.credential, authority_.public_key(), scheduler_.noise_key(), ""};
  ASSERT_TRUE(install_identity(folder_ / "new", key_, grant).ok());
  EXPECT_TRUE(load_identity(folder_ / "new").ok());
  // Over a folder that is there: what is the operator's stays.
  const auto policy = security::sign_policy({4}, authority_).value();
  const auto roster = security::sign_roster({1, {}, {}}, authority_).value();
  const std::pair<const char*, std::string> kept[] = {
      {"roster", roster}, {"cluster.policy", policy}, {"audit.log", "lines"}, {"notes", "mine"}};
  for (const auto& [name, content] : kept)
    ASSERT_TRUE(write_file(folder_ / "me" / name, as_bytes(content)).ok());
  std::filesystem::create_directory(folder_ / "me" / "runs");
  std::filesystem::remove(folder_ / "me" / "credential");
  ASSERT_TRUE(install_identity(folder_ / "me" / "", key_, grant).ok());
  for (const auto& [name, content] : kept)
    EXPECT_EQ(read_file(folder_ / "me" / name).value(), content) << name;
  EXPECT_TRUE(std::filesystem::exists(folder_ / "me" / "runs"));
  EXPECT_EQ(load_identity(folder_ / "me")->policy.version, 4u);
  EXPECT_EQ(security::NodeKey::load(folder_ / "me" / "node.key")->id(), key_.id());
  grant.policy = security::sign_policy({5}, authority_).value();
  ASSERT_TRUE(install_identity(folder_ / "me", key_, grant).ok());
  EXPECT_EQ(load_identity(folder_ / "me")->policy.version, 5u);
  // A grant for another key leaves everything as it was, and nothing beside it.
  const auto other = security::NodeKey::generate();
  EXPECT_EQ(install_identity(folder_ / "other", other, grant).error().code, Code::kRefused);
  EXPECT_FALSE(std::filesystem::exists(folder_ / "other"));
  const auto folders = std::filesystem::directory_iterator(folder_ / ".");
  EXPECT_EQ(std::distance(begin(folders), end(folders)), 2);
}

TEST_F(IdentityFolder, TakesARenewalOfItsOwnAlone) {
  auto mine = load_identity(folder_ / "me").value();
  security::Credential next = mine.credential;
  next.not_after += 100;
  next.serial = 2;
  ASSERT_TRUE(take_issued(mine, authority_.issue(next).value(), "").ok());
  EXPECT_EQ(mine.credential, next);
  ASSERT_TRUE(save_credential(mine).ok());
  EXPECT_EQ(load_identity(folder_ / "me")->credential, next);
  next.name = "another";
  EXPECT_EQ(take_issued(mine, authority_.issue(next).value(), "").error().code, Code::kRefused);
  EXPECT_EQ(mine.credential.name, "me");
}

TEST_F(IdentityFolder, KeepsTheNewestPolicyThatCame) {
  auto mine = load_identity(folder_ / "me").value();
  const Bytes credential = mine.local.credential;
  const auto newest = security::sign_policy({7}, authority_).value();
  ASSERT_TRUE(take_issued(mine, credential, newest).ok());
  ASSERT_TRUE(take_issued(mine, credential, security::sign_policy({6}, authority_).value()).ok());
  EXPECT_EQ(mine.policy_text, newest);
  EXPECT_EQ(mine.policy.version, 0u) << "it counts from the next start";
}

TEST_F(IdentityFolder, OfASchedulerIsReissuedByItsAuthority) {
  const auto before = load_identity(folder_ / "me")->credential;
  const std::uint64_t later = link::secure::system_unix_now() + 1000;
  ASSERT_TRUE(reissue_identity(folder_ / "me", authority_, later).ok());
  EXPECT_EQ(load_identity(folder_ / "me")->credential.not_after, later + 24 * 3600);
  EXPECT_NE(load_identity(folder_ / "me")->credential.serial, before.serial);
  const Status foreign = reissue_identity(folder_ / "me", security::Authority::generate(), later);
  EXPECT_EQ(foreign.error().code, Code::kRefused);
}

}  // namespace
}  // namespace reef::node
