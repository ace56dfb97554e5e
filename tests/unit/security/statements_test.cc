// What members, tokens and the authority say to each other: tokens, requests, grants, policy,
// roster.

#include <gtest/gtest.h>

#include "security/crypto/text.h"
#include "security/identity/cluster_policy.h"
#include "security/identity/grant.h"
#include "security/identity/request.h"
#include "security/identity/roster.h"
#include "security/identity/token.h"

namespace reef::security {
namespace {

std::string text_of(const EnrolmentToken& token) {
  return std::string(as_text(token.text().view()));
}

/// Hands every change of one byte, and every truncation, to `accepts`, which must refuse them all.
template <typename Accepts>
void expect_no_change_accepted(const std::string& good, Accepts&& accepts) {
  ASSERT_TRUE(accepts(good));
  for (std::size_t i = 0; i < good.size(); ++i) {
    for (const char flip : {1, 2, 4, 8, 16, 32, 64, -128}) {
      std::string bad = good;
      bad[i] = static_cast<char>(bad[i] ^ flip);
      EXPECT_FALSE(accepts(bad)) << "byte " << i;
    }
    EXPECT_FALSE(accepts(good.substr(0, i))) << "cut at " << i;
  }
  EXPECT_FALSE(accepts(good + "\n\n"));
  EXPECT_FALSE(accepts(good + "x"));
}

TEST(Text, DecodersTakeOneSpellingOnly) {
  std::array<std::byte, 2> two{};
  EXPECT_TRUE(from_base64("AAA", two));
  for (const char* bad : {"", "AAB", "AA", "AAAA", "AA=", "A+A", "A/A", "A A", "AA\n"}) {
    EXPECT_FALSE(from_base64(bad, two)) << bad;
  }
  std::array<std::byte, 3> three{};
  for (int c = 0; c < 256; ++c) {
    const std::string text{'A', static_cast<char>(c), 'A', 'A'};
    if (from_base64(text, three)) {
      EXPECT_EQ(to_base64(three), text) << c;
    }
  }
  const std::string digits(64, 'a');
  EXPECT_TRUE(hash_from_hex(digits));
  EXPECT_FALSE(hash_from_hex(std::string(64, 'A')));
  EXPECT_FALSE(hash_from_hex(digits.substr(1)));
  EXPECT_FALSE(hash_from_hex(digits + "aa"));
  EXPECT_EQ(number_from_text("18446744073709551615"), ~std::uint64_t{0});
  for (const char* bad : {"", "00", "01", "-1", "+1", " 1", "1 ", "18446744073709551616"}) {
    EXPECT_FALSE(number_from_text(bad)) << bad;
  }
}

TEST(EnrolmentToken, SurvivesItsTextAndOneLineEnd) {
  const auto token = EnrolmentToken::generate(NodeKey::generate().noise_key());
  for (const std::string& text : {text_of(token), text_of(token) + "\n"}) {
    const auto back = parse_token(text);
    ASSERT_TRUE(back.ok()) << back.error().text();
    EXPECT_EQ(back->scheduler, token.scheduler);
    EXPECT_EQ(back->id, token.id);
    EXPECT_TRUE(equal(back->secret.view(), token.secret.view()));
  }
}

TEST(EnrolmentToken, HasOneTextAndNoErrorEchoesIt) {
  const auto token = EnrolmentToken::generate(NodeKey::generate().noise_key());
  const std::string good = text_of(token);
  for (std::size_t i = 0; i < good.size(); ++i) {
    const auto cut = parse_token(good.substr(0, i));
    ASSERT_FALSE(cut.ok());
    EXPECT_EQ(cut.error().text().find(good.substr(60)), std::string::npos);
    // Another character is another token or none, never the same one again.
    std::string bad = good;
    bad[i] = bad[i] == 'A' ? 'B' : 'A';
    const auto other = parse_token(bad);
    if (!other.ok()) continue;
    EXPECT_EQ(text_of(*other), bad);
  }
  for (const std::string& bad : {good + "\n\n", good + " ", " " + good, "v2" + good.substr(2)}) {
    EXPECT_FALSE(parse_token(bad).ok());
  }
}

TEST(EnrolmentToken, KeepsSecretPskAndVerifierApart) {
  const auto token = EnrolmentToken::generate({});
  const TokenProof proof = proof_of(token.secret.view());
  EXPECT_FALSE(equal(proof.psk.view(), token.secret.view()));
  EXPECT_FALSE(equal(proof.psk.view(), proof.verifier));
  const TokenProof again = proof_of(token.secret.view());
  EXPECT_TRUE(equal(proof.psk.view(), again.psk.view()));
  EXPECT_EQ(proof.verifier, again.verifier);
  EXPECT_NE(proof_of(EnrolmentToken::generate({}).secret.view()).verifier, proof.verifier);
}

TEST(CredentialRequest, SurvivesAndRefusesEveryChange) {
  const NodeKey key = NodeKey::generate();
  const Bytes bytes = sign_request(key, Role::kClient, "laptop", "hq").value();
  const auto back = parse_request(bytes);
  ASSERT_TRUE(back.ok()) << back.error().text();
  EXPECT_EQ(*back, (CredentialRequest{Role::kClient, "laptop", "hq", key.noise_key(),
                                      key.identity_key()}));
  expect_no_change_accepted(std::string(as_text(bytes)), [](const std::string& text) {
    return parse_request(as_bytes(text)).ok();
  });
  const Bytes longest =
      sign_request(key, Role::kNode, std::string(255, 'x'), std::string(255, 'y')).value();
  EXPECT_LE(longest.size(), std::size_t{kMaxRequest});
  EXPECT_FALSE(sign_request(key, Role::kNode, "a\nb", "hq").ok());
  EXPECT_FALSE(sign_request(key, Role::kNode, "a", "").ok());
}

TEST(ClusterPolicy, SurvivesAndRefusesEveryChange) {
  const Authority authority = Authority::generate();
  const ClusterPolicy policy{3, Cipher::kAesGcm, std::chrono::seconds(3600)};
  const std::string text = sign_policy(policy, authority).value();
  EXPECT_EQ(verify_policy(text, authority.public_key()).value(), policy);
  EXPECT_EQ(parse_policy(text).value(), policy);
  expect_no_change_accepted(text, [&](const std::string& changed) {
    return verify_policy(changed, authority.public_key()).ok();
  });
  EXPECT_EQ(verify_policy(text, Authority::generate().public_key()).error().code, Code::kRefused);
}

TEST(ClusterPolicy, BoundsLifetimesAndGivesATenthOfGrace) {
  const Authority authority = Authority::generate();
  struct Row {
    std::int64_t lifetime;
    bool accepted;
    std::int64_t grace;
  };
  const Row rows[] = {{0, false, 0},
                      {59, false, 0},
                      {60, true, 6},
                      {3000, true, 300},
                      {24 * 3600, true, 300},
                      {366 * 24 * 3600, true, 300},
                      {366 * 24 * 3600 + 1, false, 0}};
  for (const Row& row : rows) {
    const ClusterPolicy policy{1, Cipher::kChaChaPoly, std::chrono::seconds(row.lifetime)};
    EXPECT_EQ(sign_policy(policy, authority).ok(), row.accepted) << row.lifetime;
    if (row.accepted) {
      EXPECT_EQ(policy.grace().count(), row.grace);
    }
  }
}

TEST(ClusterPolicy, SaysWhenTheProcessorLacksItsCipher) {
  EXPECT_TRUE(check_cipher(Cipher::kChaChaPoly, false).ok());
  EXPECT_TRUE(check_cipher(Cipher::kAesGcm, true).ok());
  const Status lacking = check_cipher(Cipher::kAesGcm, false);
  ASSERT_FALSE(lacking.ok());
  EXPECT_EQ(lacking.error().code, Code::kUsage);
  EXPECT_NE(lacking.error().what.find("AES instructions"), std::string::npos);
}

class RosterTest : public testing::Test {
 protected:
  std::string sign(const Roster& roster) const { return sign_roster(roster, authority_).value(); }
  const Authority authority_ = Authority::generate();
  const NodeKey key_ = NodeKey::generate();
};

TEST_F(RosterTest, SurvivesAndRefusesEveryChange) {
  const Roster roster{7, {3, 1000, 20}, {key_.id(), NodeKey::generate().id()}};
  const std::string text = sign(roster);
  EXPECT_EQ(verify_roster(text, authority_.public_key()).value(), roster);
  expect_no_change_accepted(text, [&](const std::string& changed) {
    return verify_roster(changed, authority_.public_key()).ok();
  });
}

TEST_F(RosterTest, RevokesASerialOrAWholeNode) {
  Credential credential;
  credential.identity_key = key_.identity_key();
  credential.serial = 5;
  EXPECT_FALSE(Roster{}.revokes(credential));
  EXPECT_FALSE((Roster{1, {4}, {NodeKey::generate().id()}}.revokes(credential)));
  EXPECT_TRUE((Roster{1, {5}, {}}.revokes(credential)));
  EXPECT_TRUE((Roster{1, {}, {key_.id()}}.revokes(credential)));
}

TEST_F(RosterTest, IsBounded) {
  Roster roster{1, {}, {}};
  for (std::uint64_t i = 0; i < kMaxRevoked; ++i) roster.serials.insert(~i);
  EXPECT_LE(sign(roster).size(), std::size_t{kMaxRoster});
  EXPECT_TRUE(verify_roster(sign(roster), authority_.public_key()).ok());
  roster.nodes.insert(key_.id());
  EXPECT_EQ(sign_roster(roster, authority_).error().code, Code::kUsage);
  EXPECT_FALSE(parse_roster(std::string(kMaxRoster + 1, 'x')).ok());
}

TEST_F(RosterTest, GoesForwardOnly) {
  RosterHolder holder(authority_.public_key());
  const std::string second = sign({2, {1}, {}});
  struct Row {
    std::string text;
    bool good;
    bool newer;
  };
  const Row rows[] = {{second, true, true},
                      {second, true, false},
                      {sign({1, {}, {}}), false, false},
                      {sign({2, {1, 2}, {}}), false, false},
                      {sign({5, {1, 2}, {}}), true, true},
                      {second, false, false},
                      {sign_roster({9, {}, {}}, Authority::generate()).value(), false, false},
                      {"rubbish", false, false}};
  for (const Row& row : rows) {
    const auto taken = holder.take(row.text);
    ASSERT_EQ(taken.ok(), row.good) << row.text;
    if (row.good) {
      EXPECT_EQ(*taken, row.newer);
      EXPECT_EQ(holder.text(), row.text);
    }
  }
  EXPECT_EQ(holder.roster().version, 5u);
}

class GrantTest : public testing::Test {
 protected:
  Grant grant() const {
    Credential credential{authority_.cluster(),
                          "n",
                          key_.noise_key(),
                          key_.identity_key(),
                          Role::kNode,
                          "hq",
                          1000,
                          1};
    return {authority_.issue(credential).value(), authority_.public_key(), key_.noise_key(),
            sign_policy({}, authority_).value()};
  }
  const Authority authority_ = Authority::generate();
  const NodeKey key_ = NodeKey::generate();
};

TEST_F(GrantTest, SurvivesAndIsForOneKey) {
  const Grant back = parse_grant(encode_grant(grant())).value();
  EXPECT_EQ(back, grant());
  EXPECT_TRUE(check_grant(back, key_, 1000).ok());
  EXPECT_EQ(check_grant(back, key_, 1001).error().code, Code::kRefused);
  EXPECT_EQ(check_grant(back, NodeKey::generate(), 1000).error().code, Code::kRefused);
}

TEST_F(GrantTest, RefusesTruncationAndAnotherAuthority) {
  const Bytes bytes = encode_grant(grant());
  for (std::size_t size = 0; size < bytes.size(); ++size) {
    EXPECT_FALSE(parse_grant(BytesView(bytes).first(size)).ok());
  }
  EXPECT_FALSE(parse_grant(Bytes(kMaxGrant + 1)).ok());
  Grant other = grant();
  other.authority = Authority::generate().public_key();
  EXPECT_EQ(check_grant(other, key_, 1).error().code, Code::kRefused);
  Grant policy = grant();
  policy.policy = sign_policy({}, Authority::generate()).value();
  EXPECT_EQ(check_grant(policy, key_, 1).error().code, Code::kRefused);
}

}  // namespace
}  // namespace reef::security
