#pragma once
// What strangers may cost: connections that have not proven themselves are few, and from no address
// more than its share.

#include <cstdint>
#include <map>
#include <memory>

#include "runtime/base/bytes.h"
#include "runtime/base/clock.h"

struct sockaddr;

namespace reef::link::tcp {

struct GateLimits {
  double per_second = 50;            ///< connections of one address, after the burst
  double burst = 256;                ///< a peer with many streams comes all at once
  std::size_t half_open = 256;       ///< of one address
  std::size_t half_open_all = 1024;  ///< of all; each costs up to 32 KiB
  std::size_t addresses = 16384;     ///< remembered; while it is full, new ones are refused
};

/// Decides about each arriving connection before anything is allocated for it. An address is an
/// IPv4 address or the first 64 bits of an IPv6 one, which its owner has for nothing.
/// Thread: one; a Pass may be released on any. Memory: about 100 bytes an address.
class Gate {
 public:
  /// Counts as half open while it lives.
  using Pass = std::shared_ptr<const void>;

  explicit Gate(GateLimits limits = {}) : limits_(limits) {}

  /// Null: close it without a word.
  Pass enter(const sockaddr& from, Time now);
  std::uint64_t refused() const { return refused_; }
  std::size_t half_open() const { return all_.use_count() - 1; }

 private:
  using Key = std::uint64_t;
  struct Address {
    double allowance = 0;
    Time seen{};
    Pass half_open = std::make_shared<int>();  ///< its uses, less one, are the passes
  };
  static Key key_of(const sockaddr& from);
  void refill(Address& address, Time now) const;
  bool make_room(Time now);

  GateLimits limits_;
  std::map<Key, Address> addresses_;
  Pass all_ = std::make_shared<int>();
  Time swept_{};
  std::uint64_t refused_ = 0;
};

}  // namespace reef::link::tcp
