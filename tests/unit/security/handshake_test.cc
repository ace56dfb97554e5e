#include "security/handshake/handshake.h"

#include <gtest/gtest.h>

#include <iostream>
#include <map>
#include <sstream>

#include "tests/unit/security/vectors.h"

namespace reef::security {
namespace {

using Json = nlohmann::json;

SecretBytes secret_of(const Json& vector, const std::string& field) {
  return vector.contains(field) ? SecretBytes::copy_of(unhex(vector[field])) : SecretBytes();
}

/// What a vector's name says: Noise_<pattern>_25519_ChaChaPoly_BLAKE2b.
struct Protocol {
  std::string pattern, curve, cipher, hash;
  explicit Protocol(const std::string& name) {
    std::istringstream parts(name);
    std::string noise;
    for (std::string* part : {&noise, &pattern, &curve, &cipher, &hash}) {
      std::getline(parts, *part, '_');
    }
  }
  /// Nothing where it is not ours.
  std::optional<Suite> suite() const {
    if (curve != "25519") return std::nullopt;
    for (const Cipher c : {Cipher::kChaChaPoly, Cipher::kAesGcm}) {
      for (const HashFunction h :
           {HashFunction::kBlake2b, HashFunction::kSha256, HashFunction::kSha512}) {
        if (Suite{c, h}.name() == curve + "_" + cipher + "_" + hash) return Suite{c, h};
      }
    }
    return std::nullopt;
  }
};

HandshakeState side(const Json& vector, const Protocol& protocol, bool initiator) {
  const std::string me = initiator ? "init_" : "resp_";
  HandshakeConfig config;
  config.pattern = protocol.pattern;
  config.suite = protocol.suite().value();
  config.initiator = initiator;
  config.prologue = unhex(vector[me + "prologue"]);
  config.static_secret = secret_of(vector, me + "static");
  config.fixed_ephemeral = secret_of(vector, me + "ephemeral");
  if (vector.contains(me + "psks")) {
    EXPECT_EQ(vector[me + "psks"].size(), 1u);
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

/// Both sides of one vector, through the handshake and on.
void replay(const Json& vector, const Protocol& protocol) {
  HandshakeState initiator = side(vector, protocol, true);
  HandshakeState responder = side(vector, protocol, false);
  const bool one_way = find_pattern(protocol.pattern)->one_way();
  Session sessions[2];
  std::size_t turn = 0;
  for (const Json& message : vector["messages"]) {
    const Bytes payload = unhex(message["payload"]);
    const Bytes ciphertext = unhex(message["ciphertext"]);
    const bool from_initiator = one_way || turn % 2 == 0;
    ++turn;
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
      EXPECT_NE(sessions[0].receive.has_key(), one_way);
      EXPECT_NE(sessions[1].send.has_key(), one_way);
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

TEST(Vectors, AreReproducedByteForByte) {
  ATOLL_VECTORS_OR_SKIP(file, "noise-cacophony.json");
  std::map<std::string, int> replayed, left_out;
  for (const Json& vector : file["vectors"]) {
    const std::string name = vector["protocol_name"];
    SCOPED_TRACE(name);
    const Protocol protocol(name);
    const std::string suite = protocol.curve + "_" + protocol.cipher + "_" + protocol.hash;
    const bool can = protocol.suite() && (protocol.suite()->cipher != Cipher::kAesGcm || has_aes());
    ++(can ? replayed : left_out)[suite];
    if (can) replay(vector, protocol);
    if (testing::Test::HasFatalFailure()) return;
  }
  for (const auto& [suite, count] : replayed) std::cout << suite << ": " << count << std::endl;
  for (const auto& [suite, count] : left_out) {
    std::cout << suite << ": " << count << " left out: not a suite of ours" << std::endl;
  }
  EXPECT_EQ(replayed.size(), has_aes() ? 6u : 3u);
  for (const auto& [suite, count] : replayed) EXPECT_EQ(count, 59) << suite;
}

TEST(Pattern, RefusesWhatTheSpecificationDoesNotName) {
  for (const char* name : {"", "XY", "psk0", "XKpsk4", "XKpsk", "XKpsk33", "XKpsk3+", "XK1psk",
                           "XKpsk0+psk9", "XKfallback"}) {
    EXPECT_FALSE(find_pattern(name).has_value()) << name;
  }
  EXPECT_EQ(find_pattern("NNpsk0+psk2")->messages.front().front(), Token::psk);
  EXPECT_EQ(find_pattern("NNpsk0+psk2")->messages.back().back(), Token::psk);
}

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
  CipherState a(Cipher::kChaChaPoly, KeyView(key.data(), kKeySize));
  CipherState b(Cipher::kChaChaPoly, KeyView(key.data(), kKeySize));
  Bytes sealed(3 + kTagSize), opened(3);
  a.rekey();
  a.encrypt(sealed, {}, as_bytes("abc"));
  EXPECT_FALSE(b.decrypt(opened, {}, sealed));
  EXPECT_EQ(b.nonce(), 0u) << "a failed decrypt advances the nonce";
  b.rekey();
  EXPECT_TRUE(b.decrypt(opened, {}, sealed));
  EXPECT_FALSE(b.decrypt(opened, {}, sealed)) << "a replay is accepted";
}

TEST(Handshake, TakesItsPskAsLateAsThePatternAllows) {
  Pair keys;
  const SecretBytes psk = SecretBytes::random(kKeySize);
  const auto make = [&keys](bool initiator) {
    HandshakeConfig config;
    config.pattern = "XKpsk3";
    config.psk_later = true;
    config.initiator = initiator;
    const SecretBytes& own = initiator ? keys.initiator_secret : keys.responder_secret;
    config.static_secret = SecretBytes::copy_of(own.view());
    if (initiator)
      config.peer_static = x25519_public(KeyView(keys.responder_secret.data(), kKeySize));
    return HandshakeState::create(std::move(config)).value();
  };
  HandshakeState initiator = make(true), responder = make(false);
  ASSERT_TRUE(responder.read(initiator.write(as_bytes("which")).value()).ok());
  ASSERT_TRUE(initiator.read(responder.write({}).value()).ok());
  EXPECT_EQ(initiator.write({}).error().code, Code::kInternal) << "mixes in a key that it lacks";
  initiator.give_psk(SecretBytes::copy_of(psk.view()));
  const Bytes third = initiator.write({}).value();
  EXPECT_EQ(responder.read(third).error().code, Code::kInternal);
  responder.give_psk(SecretBytes::copy_of(psk.view()));
  ASSERT_TRUE(responder.read(third).ok());
  EXPECT_EQ(initiator.split().handshake_hash, responder.split().handshake_hash);
}

}  // namespace
}  // namespace reef::security
