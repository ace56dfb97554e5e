// `atoll enrol`: a machine becomes a member.

#include "runtime/node/enrol.h"

#include <fmt/format.h>

#include <iostream>

#include "runtime/app/commands/address.h"
#include "runtime/app/commands/commands.h"
#include "runtime/app/commands/host_name.h"
#include "security/crypto/process.h"

namespace reef::app {
namespace {

struct EnrolCommand {
  std::string token, identity, scheduler, name = host_name(), role = "node";
};

Result<int> enrol(const EnrolCommand& options) {
  ATOLL_TRY(security::forbid_core_dumps());
  ATOLL_ASSIGN(const auto scheduler, parse_address(options.scheduler, "--scheduler"));
  ATOLL_ASSIGN(const auto role, security::role_named(options.role));
  ATOLL_ASSIGN(auto token, security::load_token(options.token));
  ATOLL_ASSIGN(
      const auto credential,
      node::enrol_into(options.identity, {scheduler.first, scheduler.second, options.name, role},
                       std::make_shared<const security::EnrolmentToken>(std::move(token))));
  std::cout << fmt::format("enrolled {} as a {} of {}; identity in {}\n", credential.name,
                           role_name(credential.role), credential.datacenter, options.identity);
  return 0;
}

}  // namespace

void add_enrol(CLI::App& app, Action& action) {
  auto options = std::make_shared<EnrolCommand>();
  CLI::App* command = app.add_subcommand(
      "enrol", "Become a member of a cluster with a token ('atoll token create' makes one)");
  command->add_option("token", options->token, "File with the token; nobody else may read it")
      ->required();
  command
      ->add_option("--identity", options->identity,
                   "Folder to make; a node.key that is in it stays the key")
      ->required();
  command->add_option("--scheduler", options->scheduler, "HOST:PORT of the scheduler")->required();
  command->add_option("--name", options->name, "Name of this machine in the cluster")
      ->capture_default_str();
  command->add_option("--role", options->role, "node or client; must be the token's")
      ->capture_default_str();
  command->callback([options, &action] { action = [options] { return enrol(*options); }; });
}

}  // namespace reef::app
