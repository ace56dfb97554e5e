#pragma once
// A way to another node through a third: dials the third, proves who we are, asks to be joined.

#include <string>

#include "runtime/link/relay/end.h"
#include "runtime/link/secure/secure_link.h"
#include "runtime/link/tcp/tcp.h"

namespace reef::link::relay {

/// The node between.
struct Through {
  std::string name;
  std::string host;
  std::uint16_t port = 0;
  security::PublicKey noise_key{};
};

/// Opens a leg to `relay` and joins it as end.h says. `done` runs once on the loop; the errors are
/// those of tcp::dial(), secure::connect() and join().
void dial(Loop& loop, const Through& relay, const secure::Local& local, const Join& join,
          const std::string& far, Deadline deadline, const tcp::SocketOptions& options,
          Joined done);

}  // namespace reef::link::relay
