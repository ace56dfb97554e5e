#pragma once
// Both ends of a session whose handshake is over, made anew from the same keys for each input.

#include <utility>

#include "security/handshake/handshake.h"
#include "tests/fuzz/cluster.h"

namespace reef::fuzz {

class Sessions {
 public:
  Sessions() {
    security::HandshakeState dialler = side(true), acceptor = side(false);
    CHECK(acceptor.read(dialler.write({}).value()).ok());
    CHECK(dialler.read(acceptor.write({}).value()).ok());
    CHECK(acceptor.read(dialler.write({}).value()).ok());
    dialler_ = dialler.split();
    acceptor_ = acceptor.split();
  }
  security::Session dialler() const { return copy(dialler_); }
  security::Session acceptor() const { return copy(acceptor_); }

 private:
  static security::HandshakeState side(bool initiator) {
    const Cluster& cluster = Cluster::get();
    security::HandshakeConfig config;
    config.initiator = initiator;
    config.static_secret = (initiator ? cluster.node : cluster.scheduler)->noise_secret();
    if (initiator) config.peer_static = cluster.scheduler->noise_key();
    return security::HandshakeState::create(std::move(config)).value();
  }
  static security::Session copy(const security::Session& from) {
    return {from.send.clone(), from.receive.clone(), from.handshake_hash};
  }

  security::Session dialler_, acceptor_;
};

}  // namespace reef::fuzz
