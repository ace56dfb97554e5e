// `atoll audit`: is the audit log what was written?

#include <fmt/format.h>

#include <iostream>

#include "runtime/app/commands/commands.h"
#include "runtime/base/file.h"
#include "security/audit/verify.h"
#include "security/identity/credential.h"

namespace reef::app {
namespace {

struct VerifyOptions {
  std::string log, credential, earlier;
};

/// The head is signed by a scheduler. Its credential may have expired since: a log is read later.
Result<security::PublicKey> signer(const std::string& path) {
  ATOLL_ASSIGN(const std::string bytes, read_file(path, 4096));
  const auto credential = security::parse_credential(as_bytes(bytes));
  if (!credential.ok()) return Error{Code::kData, path, "is not a credential"};
  if (credential->role != security::Role::kScheduler)
    return Error{Code::kUsage, path, "is not a scheduler's credential"};
  return credential->identity_key;
}

Result<int> verify(const VerifyOptions& options) {
  ATOLL_ASSIGN(const auto key, signer(options.credential));
  security::AuditHead earlier;
  if (!options.earlier.empty()) {
    ATOLL_ASSIGN(const std::string text, read_file(options.earlier, security::kMaxAuditHead));
    ATOLL_ASSIGN(earlier, security::verify_audit_head(text, key));
  }
  ATOLL_ASSIGN(const auto head, security::verify_audit_log(options.log, key, earlier));
  std::cout << fmt::format("{}: ok, {} lines\n", options.log, head.lines);
  return 0;
}

}  // namespace

void add_audit(CLI::App& app, Action& action) {
  CLI::App* command = app.add_subcommand("audit", "Look at the scheduler's audit log");
  command->require_subcommand(1);
  auto options = std::make_shared<VerifyOptions>();
  CLI::App* check = command->add_subcommand(
      "verify", "Say whether the log is as it was written, or name the first bad line");
  check->add_option("log", options->log, "Audit log; FILE.head must stand beside it")->required();
  check
      ->add_option("--credential", options->credential,
                   "Credential of the scheduler that wrote it (identity folder), from a hand that "
                   "you trust")
      ->required();
  check->add_option("--earlier", options->earlier,
                    "A head that was kept elsewhere: the log must go through it. This finds a log "
                    "that was put back as a whole");
  check->callback([options, &action] { action = [options] { return verify(*options); }; });
  check->footer("Exit status: 0 good, 2 changed or unreadable, 4 signed by another key.");
}

}  // namespace reef::app
