#pragma once
// Members of a cluster without files.

#include <memory>
#include <string>

#include "runtime/node/identity.h"

namespace reef::node {

using Key = std::shared_ptr<const security::NodeKey>;
inline Key new_key() {
  return std::make_shared<const security::NodeKey>(security::NodeKey::generate());
}

/// Valid for an hour, or `seconds`.
inline Identity member(const security::Authority& authority, const std::string& name,
                       const std::string& datacenter, security::Role role = security::Role::kNode,
                       const Key& key = new_key(), std::uint64_t seconds = 3600) {
  Identity identity;
  identity.name = name;
  identity.datacenter = datacenter;
  identity.credential = {authority.cluster(),
                         name,
                         key->noise_key(),
                         key->identity_key(),
                         role,
                         datacenter,
                         link::secure::system_unix_now() + seconds,
                         1};
  identity.local.key = key;
  identity.local.credential = authority.issue(identity.credential).value();
  identity.local.authority = authority.public_key();
  identity.local.cluster = authority.cluster();
  identity.local.role = role;
  identity.local.counters = std::make_shared<link::secure::Counters>();
  return identity;
}

}  // namespace reef::node
