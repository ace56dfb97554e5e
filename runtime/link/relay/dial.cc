#include "runtime/link/relay/dial.h"

namespace reef::link::relay {

void dial(Loop& loop, const Through& relay, const secure::Local& local, const Join& join,
          const std::string& far, Deadline deadline, const tcp::SocketOptions& options,
          Joined done) {
  const auto sealed = [join, names = Names{far, relay.name}, deadline, done](auto leg) {
    if (!leg.ok()) {
      return done(Error{leg.error().code, "relay " + names.relay, leg.error().text()});
    }
    relay::join(std::move(*leg), join, names, deadline, done);
  };
  const secure::ExpectedPeer expected{relay.noise_key, security::Role::kNode};
  tcp::dial(
      loop, relay.host, relay.port, deadline,
      [local, expected, epoch = join.epoch, deadline, sealed](auto plain) {
        if (!plain.ok()) return sealed(Result<std::unique_ptr<secure::SecureLink>>(plain.error()));
        secure::connect(std::move(*plain), local, expected,
                        {.purpose = secure::Purpose::kRelay, .epoch = epoch}, deadline, sealed);
      },
      options);
}

}  // namespace reef::link::relay
