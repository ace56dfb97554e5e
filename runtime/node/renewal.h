#pragma once
// When a process asks for its next credential.

#include <functional>
#include <memory>

#include "runtime/link/executor.h"
#include "security/identity/cluster_policy.h"

namespace reef::node {

/// The moment, in unix seconds, from which a member asks: after half of the lifetime and before
/// five eighths, spread by name so that a thousand nodes that came together do not ask together.
/// That leaves more than a third of the lifetime for a scheduler that is away.
std::uint64_t renewal_due(const security::Credential& own, std::chrono::seconds lifetime);

/// Whether a scheduler answers who asks now: an eighth of the lifetime before members ask by their
/// own clocks, which differ. Sooner, a member would have a signature and a write for each message.
bool renewal_open(const security::Credential& held, std::chrono::seconds lifetime,
                  std::uint64_t unix_now);

/// Calls `ask` when the credential is due, and again each 48th of the lifetime until renewed()
/// brings a later one.
/// Thread: the executor's.
class Renewal {
 public:
  using UnixNow = std::function<std::uint64_t()>;
  Renewal(link::Executor& executor, const security::Credential& own, std::chrono::seconds lifetime,
          UnixNow unix_now, std::function<void()> ask);
  void renewed(const security::Credential& own);

 private:
  void tick();

  link::Executor& executor_;
  const std::chrono::seconds lifetime_;
  const UnixNow unix_now_;
  const std::function<void()> ask_;
  std::uint64_t due_ = 0;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);  ///< the timer may outlive us
};

}  // namespace reef::node
