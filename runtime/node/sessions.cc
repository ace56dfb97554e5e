#include "runtime/node/sessions.h"

#include <vector>

namespace reef::node {
namespace {

constexpr Duration kLookEvery = std::chrono::seconds(1);

}  // namespace

Sessions::Sessions(link::Executor& executor, const security::PublicKey& authority,
                   const security::ClusterPolicy& policy, UnixNow unix_now)
    : executor_(executor),
      authority_(authority),
      grace_(policy.grace()),
      unix_now_(std::move(unix_now)),
      holder_(authority) {
  tick();
}

Sessions::~Sessions() = default;

Status Sessions::admit(const security::Credential& credential) const {
  if (!roster().revokes(credential)) return {};
  return Error{Code::kRefused, "credential of " + credential.name,
               "it was revoked by roster " + std::to_string(roster().version)};
}

Sessions::Id Sessions::add(security::Credential credential, Drop drop) {
  const Id id = next_++;
  sessions_.emplace(id, Session{std::move(credential), std::move(drop)});
  return id;
}

void Sessions::remove(Id id) { sessions_.erase(id); }

Status Sessions::renewed(Id id, BytesView signed_credential) {
  const auto found = sessions_.find(id);
  if (found == sessions_.end()) return Error{Code::kClosed, "session", "it is over"};
  security::Credential& held = found->second.credential;
  ATOLL_ASSIGN(auto next, security::verify_credential(signed_credential, authority_, held.cluster,
                                                      unix_now_()));
  ATOLL_TRY(check_successor(held, next));
  ATOLL_TRY(admit(next));
  held = std::move(next);
  return {};
}

Result<bool> Sessions::take_roster(std::string_view text) {
  ATOLL_ASSIGN(const bool newer, holder_.take(text));
  if (newer) drop_fallen();
  return newer;
}

void Sessions::tick() {
  executor_.at(executor_.clock().now() + kLookEvery, [this, alive = std::weak_ptr(alive_)] {
    if (alive.expired()) return;
    drop_fallen();
    if (!alive.expired()) tick();
  });
}

Status Sessions::standing(const security::Credential& credential) const {
  ATOLL_TRY(admit(credential));
  const std::uint64_t now = unix_now_();
  const auto grace = static_cast<std::uint64_t>(grace_.count());
  if (now <= credential.not_after || now - credential.not_after <= grace) return {};
  return Error{
      Code::kRefused, "credential of " + credential.name,
      "it expired " + std::to_string(now - credential.not_after) + " s ago and was not renewed"};
}

void Sessions::drop_fallen() {
  std::vector<std::pair<Drop, Error>> fallen;
  for (auto at = sessions_.begin(); at != sessions_.end();) {
    const Status good = standing(at->second.credential);
    if (good.ok()) {
      ++at;
      continue;
    }
    fallen.emplace_back(std::move(at->second.drop), good.error());
    at = sessions_.erase(at);
  }
  for (const auto& [drop, why] : fallen) drop(why);
}

Status check_successor(const security::Credential& old, const security::Credential& next) {
  const bool same = next.noise_key == old.noise_key && next.identity_key == old.identity_key &&
                    next.name == old.name && next.role == old.role &&
                    next.datacenter == old.datacenter && next.cluster == old.cluster;
  if (same && next.not_after >= old.not_after) return {};
  return Error{Code::kRefused, "credential of " + old.name,
               "what came in its place is for somebody else, or older"};
}

}  // namespace reef::node
