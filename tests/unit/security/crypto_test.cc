#include "security/crypto/crypto.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <set>

#include "tests/unit/security/vectors.h"

namespace reef::security {
namespace {

KeyView key_of(const Bytes& bytes) { return KeyView(bytes.data(), kKeySize); }

TEST(Crypto, X25519AgreesWithWycheproofAndRefusesZero) {
  ATOLL_VECTORS_OR_SKIP(vectors, "wycheproof-x25519.json");
  int zeros = 0;
  for (const auto& group : vectors["testGroups"]) {
    for (const auto& test : group["tests"]) {
      const Bytes shared = unhex(test["shared"]);
      const Bytes key = unhex(test["public"]);
      const Bytes secret = unhex(test["private"]);
      if (key.size() != kKeySize || secret.size() != kKeySize) continue;
      const bool zero =
          std::all_of(shared.begin(), shared.end(), [](std::byte b) { return b == std::byte{}; });
      std::array<std::byte, kKeySize> out;
      const bool good = x25519(out, key_of(secret), key_of(key));
      EXPECT_EQ(good, !zero) << test["tcId"];
      if (good) {
        EXPECT_TRUE(equal(out, shared)) << test["tcId"];
      }
      zeros += zero;
    }
  }
  EXPECT_GT(zeros, 0);
}

TEST(Crypto, Ed25519AgreesWithWycheproof) {
  ATOLL_VECTORS_OR_SKIP(vectors, "wycheproof-ed25519.json");
  for (const auto& group : vectors["testGroups"]) {
    const Bytes key = unhex(group["publicKey"]["pk"]);
    for (const auto& test : group["tests"]) {
      EXPECT_EQ(ed25519_verify(unhex(test["sig"]), key_of(key), unhex(test["msg"])),
                test["result"] == "valid")
          << test["tcId"];
    }
  }
}

/// Every case with a nonce, a key and a tag of our sizes; the number of those.
int hold_against_wycheproof(Cipher cipher, const nlohmann::json& vectors) {
  int checked = 0;
  for (const auto& group : vectors["testGroups"]) {
    if (group["keySize"] != 8 * kKeySize || group["ivSize"] != 8 * sizeof(Nonce)) continue;
    EXPECT_EQ(group["tagSize"], 8 * kTagSize);
    for (const auto& test : group["tests"]) {
      const Bytes iv = unhex(test["iv"]);
      Nonce nonce;
      std::copy(iv.begin(), iv.end(), nonce.begin());
      Bytes ciphertext = unhex(test["ct"]);
      const Bytes tag = unhex(test["tag"]);
      ciphertext.insert(ciphertext.end(), tag.begin(), tag.end());
      Bytes out(ciphertext.size() - kTagSize);
      const Bytes key = unhex(test["key"]);
      const bool good = open(cipher, out, key_of(key), nonce, unhex(test["aad"]), ciphertext);
      EXPECT_EQ(good, test["result"] == "valid") << test["tcId"];
      ++checked;
      if (!good) continue;
      const Bytes message = unhex(test["msg"]);
      EXPECT_EQ(out, message) << test["tcId"];
      Bytes sealed(ciphertext.size());
      seal(cipher, sealed, key_of(key), nonce, unhex(test["aad"]), message);
      EXPECT_EQ(sealed, ciphertext) << test["tcId"];
    }
  }
  return checked;
}

TEST(Crypto, ChaChaPolyAgreesWithWycheproof) {
  ATOLL_VECTORS_OR_SKIP(vectors, "wycheproof-chacha20-poly1305.json");
  EXPECT_GT(hold_against_wycheproof(Cipher::kChaChaPoly, vectors), 250);
}

TEST(Crypto, AesGcmAgreesWithWycheproof) {
  if (!has_aes()) GTEST_SKIP() << "this processor has no AES instructions";
  ATOLL_VECTORS_OR_SKIP(vectors, "wycheproof-aes-gcm.json");
  EXPECT_GT(hold_against_wycheproof(Cipher::kAesGcm, vectors), 60);
}

class Ciphers : public testing::TestWithParam<Cipher> {
  void SetUp() override {
    if (GetParam() == Cipher::kAesGcm && !has_aes()) {
      GTEST_SKIP() << "this processor has no AES instructions";
    }
  }
};
INSTANTIATE_TEST_SUITE_P(All, Ciphers, testing::Values(Cipher::kChaChaPoly, Cipher::kAesGcm));

TEST_P(Ciphers, SealInPlaceAndRefuseEveryFlippedBit) {
  const SecretBytes secret = SecretBytes::random(kKeySize);
  const KeyView key(secret.data(), kKeySize);
  const Nonce nonce = counter_nonce(GetParam(), 7);
  Bytes text = to_bytes(as_bytes("the tide comes in"));
  const Bytes plain = text;
  text.resize(plain.size() + kTagSize);
  seal(GetParam(), text, key, nonce, as_bytes("ad"), BytesView(text).first(plain.size()));
  for (std::size_t bit = 0; bit < text.size() * 8; ++bit) {
    Bytes flipped = text;
    flipped[bit / 8] ^= static_cast<std::byte>(1 << bit % 8);
    Bytes out(plain.size());
    EXPECT_FALSE(open(GetParam(), out, key, nonce, as_bytes("ad"), flipped));
  }
  const auto in_place = std::span(text).first(plain.size());
  EXPECT_TRUE(open(GetParam(), in_place, key, nonce, as_bytes("ad"), text));
  EXPECT_TRUE(equal(in_place, plain));
}

TEST_P(Ciphers, NeverHaveOneNonceForTwoMessages) {
  std::set<Nonce> seen;
  for (int bit = 0; bit < 64; ++bit)
    seen.insert(counter_nonce(GetParam(), std::uint64_t{1} << bit));
  EXPECT_EQ(seen.size(), 64u);
}

TEST(Crypto, SecretsMoveAndDoNotCopy) {
  SecretBytes a = SecretBytes::random(32);
  const Bytes value = to_bytes(a.view());
  SecretBytes b = std::move(a);
  EXPECT_EQ(a.size(), 0u);  // NOLINT: moved from on purpose
  EXPECT_TRUE(equal(b.view(), value));
  static_assert(!std::is_copy_constructible_v<SecretBytes>);
}

}  // namespace
}  // namespace reef::security
