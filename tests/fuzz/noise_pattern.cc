// Names of handshake patterns: what is accepted is a handshake that two ends can carry out.

#include <optional>

#include "security/handshake/handshake.h"
#include "tests/fuzz/cluster.h"

using namespace reef;
using security::Token;

namespace {

bool uses(const security::Pattern& pattern, Token token, bool initiator) {
  for (std::size_t i = 0; i < pattern.messages.size(); ++i) {
    if ((i % 2 == 0) != initiator) continue;
    for (const Token here : pattern.messages[i]) {
      if (here == token) return true;
    }
  }
  return false;
}

security::HandshakeState side(const security::Pattern& pattern, bool initiator) {
  const fuzz::Cluster& cluster = fuzz::Cluster::get();
  security::HandshakeConfig config;
  config.pattern = pattern.name;
  config.initiator = initiator;
  config.static_secret = (initiator ? cluster.node : cluster.scheduler)->noise_secret();
  if (initiator ? pattern.responder_known : pattern.initiator_known)
    config.peer_static = (initiator ? cluster.scheduler : cluster.node)->noise_key();
  if (uses(pattern, Token::psk, true) || uses(pattern, Token::psk, false))
    config.psk = security::SecretBytes(security::kKeySize);
  auto state = security::HandshakeState::create(std::move(config));
  CHECK(state.ok()) << pattern.name << ": " << state.error().text();
  return std::move(state).value();
}

void shake_hands(const security::Pattern& pattern) {
  auto initiator = side(pattern, true), responder = side(pattern, false);
  for (std::size_t i = 0; i < pattern.messages.size(); ++i) {
    auto& writer = i % 2 == 0 ? initiator : responder;
    auto& reader = i % 2 == 0 ? responder : initiator;
    const auto message = writer.write(as_bytes("payload"));
    CHECK(message.ok()) << pattern.name;
    const auto payload = reader.read(*message);
    CHECK(payload.ok()) << pattern.name;
    CHECK_EQ(as_text(*payload), "payload");
  }
  CHECK(initiator.finished() && responder.finished());
  CHECK(initiator.split().handshake_hash == responder.split().handshake_hash);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view name = as_text(fuzz::Input(data, size).rest());
  const auto pattern = security::find_pattern(name);
  if (!pattern) return 0;
  CHECK_EQ(pattern->name, name);
  CHECK(!pattern->messages.empty() && pattern->messages.size() <= 4);
  shake_hands(*pattern);
  return 0;
}
