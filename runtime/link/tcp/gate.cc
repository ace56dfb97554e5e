#include "runtime/link/tcp/gate.h"

#include <netinet/in.h>

#include <algorithm>
#include <cstring>
#include <utility>

namespace reef::link::tcp {
namespace {

constexpr std::chrono::seconds kSweepEvery{1};

}  // namespace

Gate::Key Gate::key_of(const sockaddr& from) {
  if (from.sa_family == AF_INET) {
    return reinterpret_cast<const sockaddr_in&>(from).sin_addr.s_addr;
  }
  const auto& bytes = reinterpret_cast<const sockaddr_in6&>(from).sin6_addr;
  if (IN6_IS_ADDR_V4MAPPED(&bytes)) {
    return load<std::uint32_t>(reinterpret_cast<const std::byte*>(&bytes) + 12);
  }
  return load<std::uint64_t>(reinterpret_cast<const std::byte*>(&bytes));
}

void Gate::refill(Address& address, Time now) const {
  const double seconds = std::chrono::duration<double>(now - address.seen).count();
  address.allowance = std::min(limits_.burst, address.allowance + seconds * limits_.per_second);
  address.seen = now;
}

/// Forgets addresses that owe nothing; looks through the full table at most once a second.
bool Gate::make_room(Time now) {
  if (addresses_.size() < limits_.addresses) return true;
  if (now - swept_ < kSweepEvery) return false;
  swept_ = now;
  for (auto entry = addresses_.begin(); entry != addresses_.end();) {
    Address& address = entry->second;
    refill(address, now);
    const bool settled = address.allowance >= limits_.burst && address.half_open.use_count() == 1;
    entry = settled ? addresses_.erase(entry) : std::next(entry);
  }
  return addresses_.size() < limits_.addresses;
}

Gate::Pass Gate::enter(const sockaddr& from, Time now) {
  const Key key = key_of(from);
  auto found = addresses_.find(key);
  if (found == addresses_.end()) {
    if (!make_room(now)) return ++refused_, nullptr;
    found = addresses_.emplace(key, Address{limits_.burst, now}).first;
  }
  Address& address = found->second;
  refill(address, now);
  const auto uses = [](const Pass& pass) { return static_cast<std::size_t>(pass.use_count() - 1); };
  const bool full =
      uses(address.half_open) >= limits_.half_open || uses(all_) >= limits_.half_open_all;
  if (full || address.allowance < 1) return ++refused_, nullptr;
  address.allowance -= 1;
  return std::make_shared<std::pair<Pass, Pass>>(address.half_open, all_);
}

}  // namespace reef::link::tcp
