#include "runtime/node/identity.h"

#include <algorithm>

#include "runtime/base/file.h"

namespace reef::node {
namespace {

/// A day: renewal by itself comes with enrolment.
constexpr std::uint64_t kValiditySeconds = 24 * 3600;
/// Of the control links; a job's own peerTimeout holds between its nodes.
constexpr Duration kControlPing = std::chrono::seconds(1);
constexpr Duration kControlLost = std::chrono::seconds(5);

Result<security::PublicKey> read_public(const std::filesystem::path& path) {
  ATOLL_ASSIGN(const std::string content, read_file(path, 4096));
  security::PublicKey key{};
  if (content.size() != key.size())
    return Error{Code::kPath, path.string(), "is not a public key of 32 bytes"};
  std::copy_n(reinterpret_cast<const std::byte*>(content.data()), key.size(), key.begin());
  return key;
}

}  // namespace

Result<Identity> load_identity(const std::filesystem::path& folder) {
  Identity identity;
  ATOLL_ASSIGN(auto key, security::NodeKey::load(folder / "node.key"));
  ATOLL_ASSIGN(const std::string credential, read_file(folder / "credential", 4096));
  ATOLL_ASSIGN(identity.local.authority, read_public(folder / "authority.pub"));
  ATOLL_ASSIGN(identity.scheduler, read_public(folder / "scheduler.pub"));
  identity.local.cluster = security::cluster_id_of(identity.local.authority);
  identity.local.credential = to_bytes(as_bytes(credential));
  const auto verified =
      security::verify_credential(identity.local.credential, identity.local.authority,
                                  identity.local.cluster, identity.local.unix_now());
  if (!verified.ok()) {
    return Error{Code::kRefused, (folder / "credential").string(), verified.error().what};
  }
  const security::Credential& own = *verified;
  identity.local.role = own.role;
  identity.local.ping_every = kControlPing;
  identity.local.lost_after = kControlLost;
  identity.name = own.name;
  identity.datacenter = own.datacenter;
  if (own.noise_key != key.noise_key()) {
    return Error{Code::kRefused, (folder / "credential").string(),
                 "belongs to another key than node.key"};
  }
  identity.local.key = std::make_shared<const security::NodeKey>(std::move(key));
  return identity;
}

Status write_identity(const std::filesystem::path& folder, const security::Authority& authority,
                      std::string name, security::Role role, std::string datacenter,
                      const security::NodeKey& key, const security::PublicKey& scheduler) {
  security::Credential credential;
  credential.cluster = authority.cluster();
  credential.name = std::move(name);
  credential.noise_key = key.noise_key();
  credential.identity_key = key.identity_key();
  credential.role = role;
  credential.datacenter = std::move(datacenter);
  credential.not_after = link::secure::system_unix_now() + kValiditySeconds;
  ATOLL_ASSIGN(const Bytes issued, authority.issue(credential));
  ATOLL_TRY(key.save(folder / "node.key"));
  ATOLL_TRY(write_file(folder / "credential", issued));
  ATOLL_TRY(write_file(folder / "authority.pub", authority.public_key()));
  return write_file(folder / "scheduler.pub", scheduler);
}

}  // namespace reef::node
