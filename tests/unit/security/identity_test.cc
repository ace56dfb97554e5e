#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>

#include "security/identity/credential.h"
#include "security/identity/keys.h"
#include "security/policy/policy.h"

namespace reef::security {
namespace {

struct Made {
  Authority authority = Authority::generate();
  NodeKey key = NodeKey::generate();
  Credential credential() const {
    return {authority.cluster(), "node-7",    key.noise_key(), key.identity_key(),
            Role::kNode,         "reykjavik", 1'700'000'00,    42};
  }
};

TEST(Credential, SurvivesItsEncodingAndSignature) {
  const Made made;
  const Bytes bytes = made.authority.issue(made.credential()).value();
  EXPECT_LE(bytes.size(), std::size_t{kMaxCredential});
  const auto back =
      verify_credential(bytes, made.authority.public_key(), made.authority.cluster(), 100);
  ASSERT_TRUE(back.ok()) << back.error().text();
  EXPECT_EQ(*back, made.credential());
  EXPECT_EQ(back->node_id(), made.key.id());
}

TEST(Credential, RefusesEveryFlippedBitAndEveryTruncation) {
  const Made made;
  const Bytes bytes = made.authority.issue(made.credential()).value();
  const auto verify = [&made](BytesView view) {
    return verify_credential(view, made.authority.public_key(), made.authority.cluster(), 100).ok();
  };
  for (std::size_t bit = 0; bit < bytes.size() * 8; ++bit) {
    Bytes flipped = bytes;
    flipped[bit / 8] ^= static_cast<std::byte>(1 << bit % 8);
    EXPECT_FALSE(verify(flipped)) << bit;
  }
  for (std::size_t size = 0; size < bytes.size(); ++size) {
    EXPECT_FALSE(verify(BytesView(bytes).first(size)));
  }
  EXPECT_FALSE(verify(Bytes(2000)));
}

TEST(Credential, IsRefusedForExpiryClusterAndAuthority) {
  const Made made;
  const Authority other = Authority::generate();
  const Credential credential = made.credential();
  const Bytes bytes = made.authority.issue(credential).value();
  struct Row {
    const Authority& authority;
    ClusterId cluster;
    std::uint64_t now;
    bool accepted;
  };
  const Row rows[] = {
      {made.authority, credential.cluster, credential.not_after, true},
      {made.authority, credential.cluster, credential.not_after + 1, false},
      {made.authority, other.cluster(), 1, false},
      {other, credential.cluster, 1, false},
  };
  for (const Row& row : rows) {
    const auto result = verify_credential(bytes, row.authority.public_key(), row.cluster, row.now);
    EXPECT_EQ(result.ok(), row.accepted);
    if (!result.ok()) {
      EXPECT_EQ(result.error().code, Code::kRefused);
    }
  }
}

TEST(Credential, RefusesNamesThatCannotBePrinted) {
  const Made made;
  for (const std::string& name : {std::string(), std::string(256, 'x'), std::string("a\nb"),
                                  std::string("a\xFF"), std::string("a\xC2\x9B")}) {
    Credential credential = made.credential();
    credential.name = name;
    EXPECT_EQ(made.authority.issue(credential).error().code, Code::kUsage);
  }
  Credential longest = made.credential();
  longest.name = longest.datacenter = std::string(255, 'x');
  EXPECT_LE(made.authority.issue(longest)->size(), std::size_t{kMaxCredential});
}

class KeyFile : public testing::Test {
 protected:
  void SetUp() override {
    std::string name = (std::filesystem::temp_directory_path() / "atoll-key-XXXXXX").string();
    ASSERT_NE(mkdtemp(name.data()), nullptr);
    folder_ = name;
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }
  std::filesystem::path folder_;
};

TEST_F(KeyFile, ComesBackAsItWasWritten) {
  const NodeKey key = NodeKey::generate();
  ASSERT_TRUE(key.save(folder_ / "node.key").ok());
  const auto back = NodeKey::load(folder_ / "node.key");
  ASSERT_TRUE(back.ok()) << back.error().text();
  EXPECT_EQ(back->identity_key(), key.identity_key());
  EXPECT_EQ(back->noise_key(), key.noise_key());
  const Authority authority = Authority::generate();
  ASSERT_TRUE(authority.save(folder_ / "authority.key").ok());
  EXPECT_EQ(Authority::load(folder_ / "authority.key")->public_key(), authority.public_key());
  EXPECT_EQ(Authority::load(folder_ / "node.key").error().code, Code::kData);
  EXPECT_EQ(NodeKey::load(folder_ / "absent").error().code, Code::kPath);
}

TEST_F(KeyFile, IsRefusedWhenOthersMayReadIt) {
  const auto path = folder_ / "node.key";
  ASSERT_TRUE(NodeKey::generate().save(path).ok());
  struct stat info;
  ASSERT_EQ(stat(path.c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0600u);
  for (const mode_t mode : {0640, 0604, 0660, 0777}) {
    ASSERT_EQ(chmod(path.c_str(), mode), 0);
    const auto loaded = NodeKey::load(path);
    ASSERT_FALSE(loaded.ok());
    EXPECT_EQ(loaded.error().code, Code::kKeyPerm);
    EXPECT_NE(loaded.error().what.find("chmod 600 " + path.string()), std::string::npos);
  }
  ASSERT_EQ(chmod(path.c_str(), 0400), 0);
  EXPECT_TRUE(NodeKey::load(path).ok());
}

TEST(Policy, DeniesWhatIsNotInTheTable) {
  Policy policy;
  policy.allow(Role::kNode, {1, 2}).allow(Role::kClient, 3);
  EXPECT_TRUE(policy.allows(Role::kNode, 1));
  EXPECT_TRUE(policy.allows(Role::kClient, 3));
  EXPECT_FALSE(policy.allows(Role::kClient, 1));
  EXPECT_FALSE(policy.allows(Role::kNode, 3));
  EXPECT_FALSE(policy.allows(Role::kScheduler, 0));
}

}  // namespace
}  // namespace reef::security
