#include "runtime/node/renewal.h"

#include "runtime/base/random.h"

namespace reef::node {
namespace {

constexpr Duration kLookEvery = std::chrono::seconds(1);

}  // namespace

std::uint64_t renewal_due(const security::Credential& own, std::chrono::seconds lifetime) {
  const auto whole = static_cast<std::uint64_t>(lifetime.count());
  const std::uint64_t spread = stable_hash(own.name) % (whole / 8 + 1);
  const std::uint64_t before_end = whole / 2 - spread;
  return own.not_after > before_end ? own.not_after - before_end : 0;
}

bool renewal_open(const security::Credential& held, std::chrono::seconds lifetime,
                  std::uint64_t unix_now) {
  const auto whole = static_cast<std::uint64_t>(lifetime.count());
  return held.not_after <= unix_now + whole / 2 + whole / 8;
}

Renewal::Renewal(link::Executor& executor, const security::Credential& own,
                 std::chrono::seconds lifetime, UnixNow unix_now, std::function<void()> ask)
    : executor_(executor),
      lifetime_(lifetime),
      unix_now_(std::move(unix_now)),
      ask_(std::move(ask)),
      due_(renewal_due(own, lifetime)) {
  tick();
}

void Renewal::renewed(const security::Credential& own) { due_ = renewal_due(own, lifetime_); }

void Renewal::tick() {
  executor_.at(executor_.clock().now() + kLookEvery, [this, alive = std::weak_ptr(alive_)] {
    if (alive.expired()) return;
    const std::uint64_t now = unix_now_();
    if (now >= due_) {
      due_ = now + static_cast<std::uint64_t>(std::max<std::int64_t>(1, lifetime_.count() / 48));
      ask_();
    }
    if (!alive.expired()) tick();
  });
}

}  // namespace reef::node
