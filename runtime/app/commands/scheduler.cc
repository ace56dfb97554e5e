#include <signal.h>

#include "runtime/app/commands/address.h"
#include "runtime/app/commands/audit_path.h"
#include "runtime/app/commands/commands.h"
#include "runtime/app/measured.h"
#include "runtime/base/file.h"
#include "runtime/base/log.h"
#include "scheduler/service/service.h"
#include "security/crypto/process.h"

namespace reef::app {
namespace {

struct SchedulerOptions {
  std::string identity, topology, listen = "127.0.0.1:7070", database = "scheduler.db",
                                  address_file, log, authority, roster, audit;
};

/// The authority's key, if the operator leaves it with this scheduler.
Result<std::shared_ptr<const security::Authority>> load_authority(const std::string& path) {
  if (path.empty()) return std::shared_ptr<const security::Authority>();
  ATOLL_ASSIGN(auto authority, security::Authority::load(path));
  return std::make_shared<const security::Authority>(std::move(authority));
}

Result<int> serve(const SchedulerOptions& options) {
  ATOLL_ASSIGN(const auto address, parse_address(options.listen, "--listen"));
  ATOLL_TRY(security::forbid_core_dumps());
  ATOLL_ASSIGN(const auto authority, load_authority(options.authority));
  if (authority != nullptr) {
    ATOLL_TRY(
        node::reissue_identity(options.identity, *authority, link::secure::system_unix_now()));
  }
  ATOLL_ASSIGN(auto identity, node::load_identity(options.identity));
  ATOLL_ASSIGN(auto topology, topology::read_topology(options.topology));
  ATOLL_ASSIGN(const auto profiles, kept_profiles());
  ATOLL_ASSIGN(auto store, service::Store::open(options.database));
  open_log(options.log, "scheduler");
  // Blocked before threads exist, so that only sigwait below sees them.
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGTERM);
  sigaddset(&signals, SIGINT);
  ::pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  ATOLL_ASSIGN(
      std::shared_ptr<security::AuditLog> audit,
      security::AuditLog::open(options.audit.empty() ? audit_path(options.database) : options.audit,
                               identity.local.key, identity.local.unix_now));
  service::Service service(std::move(identity), std::move(topology), std::move(store),
                           {address.first,
                            address.second,
                            {authority, audit, options.roster},
                            [profiles](topology::Topology topology, nn::Precision precision) {
                              return with_profiles(std::move(topology), profiles, precision);
                            }});
  ATOLL_ASSIGN(const std::uint16_t port, service.start());
  log_info("listening on " + address.first + ":" + std::to_string(port));
  if (!options.address_file.empty()) {
    ATOLL_TRY(
        write_file(options.address_file, as_bytes(address.first + ":" + std::to_string(port))));
  }
  int signal = 0;
  ::sigwait(&signals, &signal);
  service.shutdown();
  service.wait();
  return 0;
}

}  // namespace

void add_scheduler(CLI::App& app, Action& action) {
  auto options = std::make_shared<SchedulerOptions>();
  CLI::App* command =
      app.add_subcommand("scheduler", "Serve the queue: plan jobs and watch the nodes");
  command
      ->add_option("--identity", options->identity,
                   "Folder with node.key, credential, authority.pub")
      ->required();
  command->add_option("--topology", options->topology, "Topology (YAML)")->required();
  command->add_option("--listen", options->listen, "Address; port 0 takes a free one")
      ->capture_default_str();
  command->add_option("--database", options->database, "SQLite file")->capture_default_str();
  command->add_option("--authority", options->authority,
                      "The authority's key, to enrol machines and renew credentials; without it "
                      "'atoll keys sign' does both by hand");
  command->add_option("--roster", options->roster,
                      "File of who was revoked ('atoll keys revoke'); looked at each second");
  command->add_option("--audit", options->audit,
                      "Audit log; default audit.log beside the database");
  command->add_option("--address-file", options->address_file,
                      "Write HOST:PORT here once listening");
  command->add_option("--log", options->log, "Log file; default stderr");
  command->callback([options, &action] { action = [options] { return serve(*options); }; });
}

}  // namespace reef::app
