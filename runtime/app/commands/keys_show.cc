#include "runtime/app/commands/keys_show.h"

#include <fmt/format.h>

#include <algorithm>
#include <vector>

#include "runtime/base/file.h"
#include "runtime/base/units.h"
#include "runtime/link/secure/secure_link.h"
#include "security/crypto/text.h"
#include "security/identity/cluster_policy.h"
#include "security/identity/grant.h"
#include "security/identity/keys.h"
#include "security/identity/request.h"
#include "security/identity/roster.h"

namespace reef::app {
namespace {

namespace fs = std::filesystem;
using security::to_base64;
using security::to_hex;

std::string row(std::string_view name, const std::string& value) {
  return fmt::format("  {:<14}{}\n", name, value);
}

std::string describe(const security::Credential& credential) {
  const std::uint64_t now = link::secure::system_unix_now();
  const auto seconds = [](std::uint64_t count) {
    return format_duration(std::chrono::seconds(std::min<std::uint64_t>(count, 1'000'000'000)));
  };
  const std::string validity = now > credential.not_after
                                   ? "expired " + seconds(now - credential.not_after) + " ago"
                                   : "for " + seconds(credential.not_after - now) + " more";
  return "credential\n" + row("name", credential.name) +
         row("role", std::string(role_name(credential.role))) +
         row("datacenter", credential.datacenter) + row("valid", validity) +
         row("serial", std::to_string(credential.serial)) +
         row("node", to_hex(credential.node_id())) + row("cluster", to_hex(credential.cluster)) +
         row("noise key", to_base64(credential.noise_key)) +
         row("identity key", to_base64(credential.identity_key));
}

std::string describe(const security::CredentialRequest& request) {
  return "request\n" + row("name", request.name) +
         row("role", std::string(role_name(request.role))) + row("datacenter", request.datacenter) +
         row("node", to_hex(security::node_id(request.identity_key))) +
         row("noise key", to_base64(request.noise_key)) +
         row("identity key", to_base64(request.identity_key));
}

std::string describe(const security::ClusterPolicy& policy) {
  return "policy\n" + row("version", std::to_string(policy.version)) +
         row("cipher", std::string(cipher_name(policy.cipher))) +
         row("credentials", format_duration(policy.credential_lifetime)) +
         row("grace", format_duration(policy.grace()));
}

std::string describe(const security::Roster& roster) {
  std::string text = "roster\n" + row("version", std::to_string(roster.version));
  for (const auto& node : roster.nodes) text += row("node", to_hex(node));
  for (const auto serial : roster.serials) text += row("serial", std::to_string(serial));
  return text;
}

std::string describe(const security::Grant& grant) {
  std::string text = "grant\n" + row("cluster", to_hex(security::cluster_id_of(grant.authority))) +
                     row("authority", to_base64(grant.authority)) +
                     row("scheduler", to_base64(grant.scheduler));
  if (const auto credential = security::parse_credential(grant.credential); credential.ok())
    text += describe(*credential);
  if (const auto policy = security::parse_policy(grant.policy); policy.ok())
    text += describe(*policy);
  return text;
}

std::string describe(const security::NodeKey& key) {
  return "node key\n" + row("node", to_hex(key.id())) +
         row("noise key", to_base64(key.noise_key())) +
         row("identity key", to_base64(key.identity_key()));
}

std::string describe(const security::Authority& authority) {
  return "authority\n" + row("cluster", to_hex(authority.cluster())) +
         row("authority key", to_base64(authority.public_key()));
}

template <typename T>
bool describe_if(Result<T> parsed, std::string& text) {
  if (parsed.ok()) text += describe(*parsed);
  return parsed.ok();
}

Result<std::string> describe_public(const fs::path& path) {
  ATOLL_ASSIGN(const std::string content, read_file(path, security::kMaxRoster));
  const BytesView bytes = as_bytes(content);
  std::string text;
  if (path.extension() == ".pub" && bytes.size() == security::kKeySize)
    return path.filename().string() + "\n" + row("public key", to_base64(bytes));
  if (describe_if(security::parse_credential(bytes), text)) return text;
  if (describe_if(security::parse_request(bytes), text)) return text;
  if (describe_if(security::parse_grant(bytes), text)) return text;
  if (describe_if(security::parse_policy(content), text)) return text;
  if (describe_if(security::parse_roster(content), text)) return text;
  return Error{Code::kData, path.string(),
               "is no key, credential, request, grant, policy or roster"};
}

Result<std::string> describe_file(const fs::path& path) {
  if (path.extension() != ".key") return describe_public(path);
  if (auto key = security::NodeKey::load(path); key.ok()) return describe(*key);
  ATOLL_ASSIGN(const auto authority, security::Authority::load(path));
  return describe(authority);
}

Status check_secret(const fs::path& path) {
  const auto key = security::NodeKey::load(path);
  if (key.ok()) return {};
  const auto authority = security::Authority::load(path);
  if (authority.ok()) return {};
  if (key.error().code == Code::kData)
    return Error{Code::kData, path.string(), "is neither a node key nor an authority's"};
  return key.error();
}

}  // namespace

Result<std::string> describe_identity(const fs::path& path) {
  if (!fs::is_directory(path)) return describe_file(path);
  std::string text;
  for (const char* name : {"node.key", "credential", "authority.pub", "scheduler.pub",
                           "cluster.policy", "roster", "request"}) {
    if (!fs::exists(path / name)) continue;
    ATOLL_ASSIGN(const std::string part, describe_file(path / name));
    text += part;
  }
  if (text.empty()) return Error{Code::kData, path.string(), "holds nothing of an identity"};
  return text;
}

Status check_permissions(const fs::path& path) {
  if (!fs::is_directory(path)) return check_secret(path);
  bool found = false;
  std::error_code failure;
  fs::directory_iterator files(path, failure);
  if (failure) return Error{Code::kPath, path.string(), failure.message()};
  std::vector<fs::path> secrets;
  for (const auto& file : files) {
    if (file.path().extension() == ".key") secrets.push_back(file.path());
  }
  std::sort(secrets.begin(), secrets.end());
  for (const fs::path& secret : secrets) {
    found = true;
    ATOLL_TRY(check_secret(secret));
  }
  if (!found) return Error{Code::kPath, path.string(), "holds no file *.key"};
  return {};
}

}  // namespace reef::app
