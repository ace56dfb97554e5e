// `atoll token`: tickets with which machines enrol. Works on the scheduler's machine, beside it.

#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <iostream>

#include "runtime/app/commands/audit_path.h"
#include "runtime/app/commands/commands.h"
#include "runtime/base/file.h"
#include "runtime/base/units.h"
#include "scheduler/service/issuer.h"
#include "scheduler/service/store.h"
#include "security/audit/log.h"
#include "security/crypto/process.h"

namespace reef::app {
namespace {

struct TokenCommand {
  std::string identity, database = "scheduler.db", audit, role = "node", datacenter, ttl = "15min",
                        out, id;
};

/// The scheduler's own files, opened beside it.
struct Site {
  node::Identity identity;
  std::unique_ptr<service::Store> store;
  std::unique_ptr<security::AuditLog> audit;
};

Result<Site> open_site(const TokenCommand& options) {
  ATOLL_TRY(security::forbid_core_dumps());
  Site site;
  ATOLL_ASSIGN(site.identity, node::load_identity(options.identity));
  if (site.identity.local.role != security::Role::kScheduler)
    return Error{Code::kUsage, options.identity, "is not a scheduler's identity"};
  ATOLL_ASSIGN(site.store, service::Store::open(options.database));
  ATOLL_ASSIGN(site.audit, security::AuditLog::open(
                               options.audit.empty() ? audit_path(options.database) : options.audit,
                               site.identity.local.key, site.identity.local.unix_now));
  return site;
}

/// To a file of mode 0600, or to stdout, past every buffer that would keep it.
Status print_once(const security::SecretBytes& text, const std::string& out) {
  security::SecretBytes line(text.size() + 1);
  std::memcpy(line.data(), text.data(), text.size());
  line.data()[text.size()] = std::byte{'\n'};
  if (!out.empty()) return write_file(out, line.view(), 0600);
  std::size_t sent = 0;
  while (sent < line.size()) {
    const ssize_t n = ::write(STDOUT_FILENO, line.data() + sent, line.size() - sent);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return Error{Code::kIo, "stdout", std::strerror(errno)};
    sent += static_cast<std::size_t>(n);
  }
  return {};
}

Result<int> create(const TokenCommand& options) {
  ATOLL_ASSIGN(const auto role, security::role_named(options.role));
  ATOLL_ASSIGN(const Duration ttl, parse_duration(options.ttl));
  ATOLL_ASSIGN(const Site site, open_site(options));
  const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(ttl).count();
  ATOLL_ASSIGN(const auto token,
               service::create_token(*site.store, site.identity.local.key->noise_key(), role,
                                     options.datacenter, site.identity.local.unix_now(),
                                     static_cast<std::uint64_t>(seconds)));
  const std::string id = security::token_name(token.id);
  site.audit->append("token-created", id,
                     fmt::format("role {}, datacenter {}, for {} s, by user {}", options.role,
                                 options.datacenter, seconds, ::getuid()));
  site.audit->flush();
  ATOLL_TRY(print_once(token.text(), options.out));
  std::cerr << fmt::format("token {}: one {} of {} may enrol with it, once, within {}\n", id,
                           options.role, options.datacenter, format_duration(ttl));
  return 0;
}

std::string state_of(const service::TokenRecord& token, std::uint64_t now) {
  if (token.revoked) return "revoked";
  if (!token.used_by.empty()) return "used by " + token.used_by;
  if (now > token.not_after) return "expired";
  return "good for " + format_duration(std::chrono::seconds(token.not_after - now));
}

Result<int> list(const TokenCommand& options) {
  ATOLL_ASSIGN(const auto store, service::Store::open(options.database));
  ATOLL_ASSIGN(const auto tokens, store->tokens());
  const std::uint64_t now = link::secure::system_unix_now();
  for (const service::TokenRecord& token : tokens) {
    std::cout << fmt::format("{:<24}{:<8}{:<16}{}\n", token.id, token.role, token.datacenter,
                             state_of(token, now));
  }
  return 0;
}

Result<int> revoke(const TokenCommand& options) {
  ATOLL_ASSIGN(const Site site, open_site(options));
  ATOLL_TRY(site.store->revoke_token(options.id));
  site.audit->append("token-revoked", options.id, fmt::format("by user {}", ::getuid()));
  site.audit->flush();
  std::cout << "revoked " << options.id << '\n';
  return 0;
}

}  // namespace

void add_token(CLI::App& app, Action& action) {
  auto options = std::make_shared<TokenCommand>();
  CLI::App* command =
      app.add_subcommand("token", "Make, list and revoke enrolment tokens of the scheduler here");
  command->require_subcommand(1);
  const auto site = [options](CLI::App* sub) {
    sub->add_option("--identity", options->identity, "The scheduler's identity folder")->required();
    sub->add_option("--audit", options->audit, "Audit log; default audit.log beside the database");
  };
  const auto database = [options](CLI::App* sub) {
    sub->add_option("--database", options->database, "The scheduler's SQLite file")
        ->capture_default_str();
  };

  CLI::App* make = command->add_subcommand(
      "create",
      "Print a token once; it lets one machine enrol, once. Keep it in a file of mode 0600");
  site(make);
  database(make);
  make->add_option("--role", options->role, "What it enrols: node or client")
      ->capture_default_str();
  make->add_option("--datacenter", options->datacenter, "Where the member will be")->required();
  make->add_option("--ttl", options->ttl, "How long it is good, such as 15min or 1h")
      ->capture_default_str();
  make->add_option("--out", options->out, "Write it to this file, mode 0600, instead of stdout");
  make->callback([options, &action] { action = [options] { return create(*options); }; });

  CLI::App* show = command->add_subcommand("list", "Show tokens and what became of them");
  database(show);
  show->callback([options, &action] { action = [options] { return list(*options); }; });

  CLI::App* end = command->add_subcommand("revoke", "Make an unused token useless");
  site(end);
  database(end);
  end->add_option("id", options->id, "The token's id, as 'list' shows it")->required();
  end->callback([options, &action] { action = [options] { return revoke(*options); }; });
}

}  // namespace reef::app
