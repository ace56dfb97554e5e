#include "security/crypto/crypto.h"

#include <gtest/gtest.h>

#include <algorithm>

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

TEST(Crypto, AeadAgreesWithWycheproofForCounterNonces) {
  ATOLL_VECTORS_OR_SKIP(vectors, "wycheproof-chacha20-poly1305.json");
  int checked = 0;
  for (const auto& group : vectors["testGroups"]) {
    for (const auto& test : group["tests"]) {
      const Bytes iv = unhex(test["iv"]);
      if (iv.size() != 12 || load<std::uint32_t>(iv.data()) != 0) continue;
      Bytes ciphertext = unhex(test["ct"]);
      const Bytes tag = unhex(test["tag"]);
      if (tag.size() != kTagSize) continue;
      ciphertext.insert(ciphertext.end(), tag.begin(), tag.end());
      Bytes out(ciphertext.size() - kTagSize);
      const bool good = open(out, key_of(unhex(test["key"])), load<std::uint64_t>(iv.data() + 4),
                             unhex(test["aad"]), ciphertext);
      EXPECT_EQ(good, test["result"] == "valid") << test["tcId"];
      if (good) {
        EXPECT_EQ(out, unhex(test["msg"])) << test["tcId"];
      }
      ++checked;
    }
  }
  RecordProperty("checked", checked);
}

TEST(Crypto, SealsInPlaceAndRefusesEveryFlippedBit) {
  const SecretBytes secret = SecretBytes::random(kKeySize);
  const KeyView key(secret.data(), kKeySize);
  Bytes text = to_bytes(as_bytes("the tide comes in"));
  const Bytes plain = text;
  text.resize(plain.size() + kTagSize);
  seal(text, key, 7, as_bytes("ad"), BytesView(text).first(plain.size()));
  for (std::size_t bit = 0; bit < text.size() * 8; ++bit) {
    Bytes flipped = text;
    flipped[bit / 8] ^= static_cast<std::byte>(1 << bit % 8);
    Bytes out(plain.size());
    EXPECT_FALSE(open(out, key, 7, as_bytes("ad"), flipped));
  }
  EXPECT_TRUE(open(std::span(text).first(plain.size()), key, 7, as_bytes("ad"), text));
  EXPECT_TRUE(equal(BytesView(text).first(plain.size()), plain));
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
