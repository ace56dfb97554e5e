// `atoll keys`: who is who, made and signed by hand. No command here talks to anybody, so that all
// of them work on a machine that is never online.

#include <fmt/format.h>

#include <iostream>

#include "runtime/app/commands/commands.h"
#include "runtime/app/commands/keys_show.h"
#include "runtime/base/file.h"
#include "runtime/base/units.h"
#include "runtime/node/identity.h"
#include "security/crypto/process.h"
#include "security/crypto/text.h"
#include "security/identity/request.h"

namespace reef::app {
namespace {

namespace fs = std::filesystem;

struct KeysCommand {
  std::string path, authority, authority_key, request, grant, scheduler, policy, out;
  std::string name, role = "node", datacenter, cipher = "ChaChaPoly", lifetime = "24h";
  std::vector<std::string> nodes, credentials;
  std::vector<std::uint64_t> serials;
};

/// A key that is written over is lost for ever, and with it all that it has signed.
Status refuse_existing(const fs::path& path) {
  if (!fs::exists(path)) return {};
  return Error{Code::kPath, path.string(), "exists already; this does not write over it"};
}

Result<security::ClusterPolicy> policy_of(const KeysCommand& options) {
  ATOLL_ASSIGN(const auto cipher, security::cipher_named(options.cipher));
  ATOLL_ASSIGN(const Duration lifetime, parse_duration(options.lifetime));
  return security::ClusterPolicy{1, cipher,
                                 std::chrono::duration_cast<std::chrono::seconds>(lifetime)};
}

Result<int> make_authority(const KeysCommand& options) {
  ATOLL_TRY(refuse_existing(options.path));
  const auto authority = security::Authority::generate();
  ATOLL_TRY(authority.save(options.path));
  ATOLL_TRY(write_file(options.path + ".pub", authority.public_key()));
  std::cout << fmt::format("{}: authority of cluster {}; keep it where no network reaches it\n",
                           options.path, security::to_hex(authority.cluster()));
  return 0;
}

Result<int> make_cluster(const KeysCommand& options) {
  const fs::path folder = options.path;
  ATOLL_TRY(refuse_existing(folder));
  ATOLL_ASSIGN(const auto terms, policy_of(options));
  const auto authority = security::Authority::generate();
  ATOLL_ASSIGN(const std::string policy, security::sign_policy(terms, authority));
  const auto scheduler = security::NodeKey::generate();
  const auto member = [&](const std::string& name, security::Role role,
                          const security::NodeKey& key) {
    return node::write_identity(folder / name, authority, name, role, options.datacenter, key,
                                scheduler.noise_key(), policy);
  };
  ATOLL_TRY(member("scheduler", security::Role::kScheduler, scheduler));
  ATOLL_TRY(member("client", security::Role::kClient, security::NodeKey::generate()));
  ATOLL_TRY(write_file(folder / "cluster.policy", as_bytes(policy)));
  ATOLL_TRY(write_file(folder / "authority.key.pub", authority.public_key()));
  ATOLL_TRY(authority.save(folder / "authority.key"));
  std::cout << fmt::format(
      "{0}: cluster {1}\n"
      "  atoll scheduler --identity {0}/scheduler --authority {0}/authority.key --topology ...\n"
      "  atoll token create --identity {0}/scheduler --datacenter ...\n"
      "  atoll run JOB --identity {0}/client --scheduler HOST:PORT\n",
      options.path, security::to_hex(authority.cluster()));
  return 0;
}

Result<int> make_node(const KeysCommand& options) {
  const fs::path folder = options.path;
  ATOLL_TRY(refuse_existing(folder / "node.key"));
  ATOLL_ASSIGN(const auto role, security::role_named(options.role));
  const auto key = security::NodeKey::generate();
  ATOLL_ASSIGN(const Bytes request,
               security::sign_request(key, role, options.name, options.datacenter));
  ATOLL_TRY(key.save(folder / "node.key"));
  ATOLL_TRY(write_file(folder / "request", request));
  std::cout << fmt::format(
      "{0}: node {1}; now 'atoll keys sign {0}/request' where the authority is, then "
      "'atoll keys install {0} GRANT'\n",
      options.path, security::to_hex(key.id()));
  return 0;
}

/// The Noise key that everybody will dial: the scheduler's own, or the one in its credential.
Result<security::PublicKey> scheduler_key(const KeysCommand& options,
                                          const security::CredentialRequest& request,
                                          const security::Authority& authority) {
  if (request.role == security::Role::kScheduler) return request.noise_key;
  if (options.scheduler.empty())
    return Error{Code::kUsage, "--scheduler",
                 "is needed: the credential of the scheduler that this member will dial"};
  ATOLL_ASSIGN(const std::string bytes, read_file(options.scheduler, 4096));
  const auto credential = security::verify_issued(as_bytes(bytes), authority.public_key());
  if (!credential.ok())
    return Error{credential.error().code, options.scheduler, credential.error().what};
  if (credential->role != security::Role::kScheduler)
    return Error{Code::kUsage, options.scheduler, "is not a scheduler's credential"};
  return credential->noise_key;
}

Result<std::string> read_policy(const std::string& path, const security::Authority& authority) {
  if (path.empty()) return std::string();
  ATOLL_ASSIGN(std::string text, read_file(path, security::kMaxClusterPolicy));
  const auto policy = security::verify_policy(text, authority.public_key());
  if (!policy.ok()) return Error{policy.error().code, path, policy.error().what};
  return text;
}

Result<int> sign(const KeysCommand& options) {
  ATOLL_ASSIGN(const auto authority, security::Authority::load(options.authority));
  ATOLL_ASSIGN(const std::string bytes, read_file(options.request, security::kMaxRequest));
  const auto request = security::parse_request(as_bytes(bytes));
  if (!request.ok()) return Error{request.error().code, options.request, request.error().what};
  ATOLL_ASSIGN(const std::string policy, read_policy(options.policy, authority));
  ATOLL_ASSIGN(const auto scheduler, scheduler_key(options, *request, authority));
  ATOLL_ASSIGN(const Duration lifetime, parse_duration(options.lifetime));
  security::Credential credential;
  credential.cluster = authority.cluster();
  credential.name = request->name;
  credential.noise_key = request->noise_key;
  credential.identity_key = request->identity_key;
  credential.role = request->role;
  credential.datacenter = request->datacenter;
  credential.not_after = link::secure::system_unix_now() +
                         static_cast<std::uint64_t>(
                             std::chrono::duration_cast<std::chrono::seconds>(lifetime).count());
  credential.serial = security::random_serial();
  ATOLL_ASSIGN(const Bytes issued, authority.issue(credential));
  const security::Grant grant{issued, authority.public_key(), scheduler, policy};
  ATOLL_TRY(write_file(options.out, security::encode_grant(grant)));
  std::cout << fmt::format("{}: {} may be a {} of {} for {}; serial {}\n", options.out,
                           credential.name, role_name(credential.role), credential.datacenter,
                           format_duration(lifetime), credential.serial);
  return 0;
}

Result<int> install(const KeysCommand& options) {
  const fs::path folder = options.path;
  ATOLL_ASSIGN(const auto key, security::NodeKey::load(folder / "node.key"));
  ATOLL_ASSIGN(const std::string bytes, read_file(options.grant, security::kMaxGrant));
  const auto grant = security::parse_grant(as_bytes(bytes));
  if (!grant.ok()) return Error{Code::kData, options.grant, grant.error().what};
  if (!options.authority_key.empty()) {
    ATOLL_ASSIGN(const std::string expected, read_file(options.authority_key, 4096));
    if (!security::equal(as_bytes(expected), grant->authority))
      return Error{Code::kRefused, options.grant, "is from another authority"};
  }
  ATOLL_TRY(node::install_identity(folder, key, *grant));
  std::cout << fmt::format("{}: member of cluster {}\n", options.path,
                           security::to_hex(security::cluster_id_of(grant->authority)));
  return 0;
}

Result<int> make_policy(const KeysCommand& options) {
  ATOLL_ASSIGN(const auto authority, security::Authority::load(options.authority));
  ATOLL_ASSIGN(auto policy, policy_of(options));
  if (fs::exists(options.path)) {
    ATOLL_ASSIGN(const std::string old, read_policy(options.path, authority));
    ATOLL_ASSIGN(const auto before, security::parse_policy(old));
    policy.version = before.version + 1;
  }
  ATOLL_ASSIGN(const std::string text, security::sign_policy(policy, authority));
  ATOLL_TRY(write_file(options.path, as_bytes(text)));
  std::cout << fmt::format("{}: version {}, {}, credentials for {}\n", options.path, policy.version,
                           cipher_name(policy.cipher), format_duration(policy.credential_lifetime));
  return 0;
}

/// All that the options name; a credential stands for the node that it is of.
Status add_revoked(const KeysCommand& options, security::Roster& roster) {
  for (const std::string& node : options.nodes) {
    const auto id = security::hash_from_hex(node);
    if (!id) return Error{Code::kUsage, "--node", "'" + node + "' is not a node id of 64 digits"};
    roster.nodes.insert(*id);
  }
  for (const std::uint64_t serial : options.serials) roster.serials.insert(serial);
  for (const std::string& path : options.credentials) {
    ATOLL_ASSIGN(const std::string bytes, read_file(path, 4096));
    const auto credential = security::parse_credential(as_bytes(bytes));
    if (!credential.ok()) return Error{Code::kData, path, "is not a credential"};
    roster.nodes.insert(credential->node_id());
  }
  return {};
}

Result<int> revoke(const KeysCommand& options) {
  ATOLL_ASSIGN(const auto authority, security::Authority::load(options.authority));
  security::Roster roster;
  if (fs::exists(options.path)) {
    ATOLL_ASSIGN(const std::string text, read_file(options.path, security::kMaxRoster));
    auto old = security::verify_roster(text, authority.public_key());
    if (!old.ok()) return Error{old.error().code, options.path, old.error().what};
    roster = *std::move(old);
  }
  const security::Roster before = roster;
  ATOLL_TRY(add_revoked(options, roster));
  if (roster == before)
    return Error{Code::kUsage, options.path,
                 "would not change; name somebody with --node, --serial or --credential"};
  ++roster.version;
  ATOLL_ASSIGN(const std::string text, security::sign_roster(roster, authority));
  ATOLL_TRY(write_file(options.path, as_bytes(text)));
  std::cout << fmt::format(
      "{}: version {}, {} nodes and {} serials; a scheduler that was started with '--roster {}' "
      "takes it within a second\n",
      options.path, roster.version, roster.nodes.size(), roster.serials.size(), options.path);
  return 0;
}

Result<int> show(const KeysCommand& options) {
  ATOLL_ASSIGN(const std::string text, describe_identity(options.path));
  std::cout << text;
  return 0;
}

Result<int> check(const KeysCommand& options) {
  ATOLL_TRY(check_permissions(options.path));
  std::cout << options.path << ": nobody else may read its secrets\n";
  return 0;
}

}  // namespace

void add_keys(CLI::App& app, Action& action) {
  auto options = std::make_shared<KeysCommand>();
  CLI::App* command = app.add_subcommand(
      "keys", "Make keys, sign credentials, revoke members; all of it works offline");
  command->require_subcommand(1);
  command->footer(
      "A cluster in one step:  atoll keys cluster my-cluster --datacenter hq\n"
      "By hand, with an authority that is never online:\n"
      "  atoll keys authority authority.key                        on the offline machine\n"
      "  atoll keys new scheduler --role scheduler --name scheduler --datacenter hq\n"
      "  atoll keys sign scheduler/request --authority authority.key --out scheduler.grant\n"
      "  atoll keys install scheduler scheduler.grant\n"
      "Secrets are read from files alone, of mode 0600; one that is not where its option says is\n"
      "looked for, by its name, in $CREDENTIALS_DIRECTORY (systemd's LoadCredential).");

  using Handler = Result<int> (*)(const KeysCommand&);
  const auto add = [command, options, &action](const char* name, const char* what, Handler run) {
    CLI::App* sub = command->add_subcommand(name, what);
    sub->callback([options, &action, run] {
      action = [options, run]() -> Result<int> {
        ATOLL_TRY(security::forbid_core_dumps());
        return run(*options);
      };
    });
    return sub;
  };
  const auto authority = [options](CLI::App* sub) {
    sub->add_option("--authority", options->authority, "The authority's key")->required();
  };
  const auto terms = [options](CLI::App* sub) {
    sub->add_option("--cipher", options->cipher, "ChaChaPoly or AESGCM, for all; never negotiated")
        ->capture_default_str();
    sub->add_option("--lifetime", options->lifetime, "Of credentials, such as 24h")
        ->capture_default_str();
  };

  CLI::App* sub =
      add("cluster", "Make an authority, a scheduler and a client at once", make_cluster);
  sub->add_option("folder", options->path, "Folder to make")->required();
  sub->add_option("--datacenter", options->datacenter, "Of the scheduler and the client")
      ->required();
  terms(sub);

  sub = add("authority", "Make the key that signs for a cluster; FILE.pub is its public part",
            make_authority);
  sub->add_option("file", options->path, "File to make")->required();

  sub = add("new", "Make a member's key, and a request for the authority", make_node);
  sub->add_option("folder", options->path, "Identity folder to begin")->required();
  sub->add_option("--name", options->name, "Name in the cluster")->required();
  sub->add_option("--role", options->role, "node, client or scheduler")->capture_default_str();
  sub->add_option("--datacenter", options->datacenter, "Where it stands")->required();

  sub = add("sign", "Turn a request into a grant: credential, authority, scheduler, policy", sign);
  sub->add_option("request", options->request,
                  "The member's request; 'keys show' tells what it "
                  "asks for")
      ->required();
  authority(sub);
  sub->add_option("--out", options->out, "Grant to write; it holds no secret")->required();
  sub->add_option("--scheduler", options->scheduler,
                  "Credential of the scheduler; not for a scheduler's own request");
  sub->add_option("--policy", options->policy, "The cluster's policy ('keys policy')");
  sub->add_option("--lifetime", options->lifetime, "Of this credential")->capture_default_str();

  sub = add("install", "Put a grant into the identity folder that asked for it", install);
  sub->add_option("folder", options->path, "Identity folder with node.key")->required();
  sub->add_option("grant", options->grant, "What 'keys sign' wrote")->required();
  sub->add_option("--authority-key", options->authority_key,
                  "The authority's public key, if you have it from elsewhere, to compare");

  sub = add("policy", "Sign what all of a cluster must mean the same", make_policy);
  sub->add_option("file", options->path,
                  "File to write; an older one there is replaced by the "
                  "next version")
      ->required();
  authority(sub);
  terms(sub);

  sub = add("revoke", "Add to the roster of who is believed no more", revoke);
  sub->add_option("roster", options->path, "Roster to make or extend; the scheduler's --roster")
      ->required();
  authority(sub);
  sub->add_option("--node", options->nodes, "Node id, as 'keys show' and the audit log say it");
  sub->add_option("--serial", options->serials, "Serial of one credential");
  sub->add_option("--credential", options->credentials, "A credential: revokes the node it is of");

  sub = add("show", "Show the public parts of a key, credential, request, grant, policy or roster",
            show);
  sub->add_option("path", options->path, "File, or identity folder")->required();

  sub =
      add("check", "See that nobody else may read the secrets of a folder, or of one file", check);
  sub->add_option("path", options->path, "File *.key, or folder")->required();
}

}  // namespace reef::app
