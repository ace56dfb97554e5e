#include "security/handshake/handshake.h"

#include <gtest/gtest.h>

#include "tests/unit/security/vectors.h"

namespace reef::security {
namespace {

using Json = nlohmann::json;

SecretBytes secret_of(const Json& vector, const std::string& field) {
  return vector.contains(field) ? SecretBytes::copy_of(unhex(vector[field])) : SecretBytes();
}

HandshakeState side(const Json& vector, std::string_view pattern, bool initiator) {
  const std::string me = initiator ? "init_" : "resp_";
  HandshakeConfig config;
  config.pattern = pattern;
  config.initiator = initiator;
  config.prologue = unhex(vector[me + "prologue"]);
  config.static_secret = secret_of(vector, me + "static");
  config.fixed_ephemeral = secret_of(vector, me + "ephemeral");
  if (vector.contains(me + "psks")) {
    config.psk = SecretBytes::copy_of(unhex(vector[me + "psks"][0]));
  }
  if (vector.contains(me + "remote_static")) {
    PublicKey key;
    const Bytes raw = unhex(vector[me + "remote_static"]);
    std::copy(raw.begin(), raw.end(), key.begin());
    config.peer_static = key;
  }
  return HandshakeState::create(std::move(config)).value();
}

class Vectors : public testing::TestWithParam<std::string> {};

TEST_P(Vectors, AreReproducedByteForByte) {
  ATOLL_VECTORS_OR_SKIP(file, "noise-cacophony.json");
  int found = 0;
  for (const Json& vector : file["vectors"]) {
    if (vector["protocol_name"] != "Noise_" + GetParam() + "_25519_ChaChaPoly_BLAKE2b") continue;
    ++found;
    HandshakeState initiator = side(vector, GetParam(), true);
    HandshakeState responder = side(vector, GetParam(), false);
    Session sessions[2];
    std::size_t turn = 0;
    for (const Json& message : vector["messages"]) {
      const Bytes payload = unhex(message["payload"]);
      const Bytes ciphertext = unhex(message["ciphertext"]);
      const bool from_initiator = turn++ % 2 == 0;
      if (!initiator.finished()) {
        HandshakeState& writer = from_initiator ? initiator : responder;
        HandshakeState& reader = from_initiator ? responder : initiator;
        ASSERT_EQ(writer.write(payload).value(), ciphertext);
        ASSERT_EQ(reader.read(ciphertext).value(), payload);
        if (!initiator.finished()) continue;
        sessions[0] = initiator.split();
        sessions[1] = responder.split();
        EXPECT_EQ(to_bytes(sessions[0].handshake_hash), unhex(vector["handshake_hash"]));
        EXPECT_EQ(sessions[0].handshake_hash, sessions[1].handshake_hash);
        continue;
      }
      Bytes sealed(payload.size() + kTagSize);
      sessions[from_initiator ? 0 : 1].send.encrypt(sealed, {}, payload);
      ASSERT_EQ(sealed, ciphertext);
      Bytes opened(payload.size());
      ASSERT_TRUE(sessions[from_initiator ? 1 : 0].receive.decrypt(opened, {}, sealed));
      ASSERT_EQ(opened, payload);
    }
  }
  EXPECT_EQ(found, 1);
}

INSTANTIATE_TEST_SUITE_P(Patterns, Vectors, testing::Values("XK", "XKpsk3", "XX", "IK", "KK"),
                         [](const auto& info) { return info.param; });

struct Pair {
  SecretBytes initiator_secret = SecretBytes::random(kKeySize);
  SecretBytes responder_secret = SecretBytes::random(kKeySize);
  HandshakeState make(bool initiator, const std::string& prologue = "same") {
    HandshakeConfig config;
    config.initiator = initiator;
    config.prologue = to_bytes(as_bytes(prologue));
    config.static_secret =
        SecretBytes::copy_of(initiator ? initiator_secret.view() : responder_secret.view());
    if (initiator) config.peer_static = x25519_public(KeyView(responder_secret.data(), kKeySize));
    return HandshakeState::create(std::move(config)).value();
  }
};

TEST(Handshake, RefusesEveryFlippedBitOfTheFirstMessage) {
  Pair keys;
  HandshakeState initiator = keys.make(true);
  const Bytes message = initiator.write(as_bytes("hi")).value();
  for (std::size_t bit = 0; bit < message.size() * 8; ++bit) {
    // X25519 ignores the top bit of a point, but the hash does not.
    Bytes flipped = message;
    flipped[bit / 8] ^= static_cast<std::byte>(1 << bit % 8);
    HandshakeState responder = keys.make(false);
    const auto read = responder.read(flipped);
    ASSERT_FALSE(read.ok()) << bit;
    EXPECT_EQ(read.error().code, Code::kProto);
    EXPECT_FALSE(responder.read(message).ok()) << "a dead handshake comes back";
  }
}

TEST(Handshake, RefusesAnotherPrologueShortMessagesAndZeroPoints) {
  Pair keys;
  EXPECT_FALSE(keys.make(false, "other").read(keys.make(true).write({}).value()).ok());
  for (std::size_t size = 0; size < 48; ++size) {
    EXPECT_FALSE(keys.make(false).read(Bytes(size)).ok());
  }
  EXPECT_FALSE(keys.make(false).read(Bytes(48)).ok());  // an all-zero ephemeral key
}

TEST(Handshake, RekeyKeepsBothSidesTogether) {
  const SecretBytes key = SecretBytes::random(kKeySize);
  CipherState a(KeyView(key.data(), kKeySize)), b(KeyView(key.data(), kKeySize));
  Bytes sealed(3 + kTagSize), opened(3);
  a.rekey();
  a.encrypt(sealed, {}, as_bytes("abc"));
  EXPECT_FALSE(b.decrypt(opened, {}, sealed));
  EXPECT_EQ(b.nonce(), 0u) << "a failed decrypt advances the nonce";
  b.rekey();
  EXPECT_TRUE(b.decrypt(opened, {}, sealed));
  EXPECT_FALSE(b.decrypt(opened, {}, sealed)) << "a replay is accepted";
}

}  // namespace
}  // namespace reef::security
