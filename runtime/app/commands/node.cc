#include "runtime/node/node.h"

#include <signal.h>

#include <caf/actor_system.hpp>
#include <caf/actor_system_config.hpp>

#include "actors/core/crew.h"
#include "ops/tune/tuner.h"
#include "runtime/app/commands/address.h"
#include "runtime/app/commands/commands.h"
#include "runtime/app/commands/host_name.h"
#include "runtime/base/log.h"
#include "runtime/base/units.h"
#include "runtime/device/cpu.h"
#include "runtime/device/open.h"
#include "runtime/node/enrol.h"
#include "security/crypto/process.h"

namespace reef::app {
namespace {

struct NodeCommand {
  std::string identity, scheduler, listen = "127.0.0.1:0", log, token, name, dialable = "anywhere";
  std::string ucx, device = "cpu", plugins = device::default_plugins();
  std::uint32_t threads = 1;
};

/// Enrols where there is no credential yet; a service may so be started with the same line for
/// ever.
Status enrol_once(const NodeCommand& options,
                  const std::pair<std::string, std::uint16_t>& scheduler) {
  if (options.token.empty() || std::filesystem::exists(options.identity + "/credential")) return {};
  ATOLL_ASSIGN(auto token, security::load_token(options.token));
  const auto shared = std::make_shared<const security::EnrolmentToken>(std::move(token));
  ATOLL_ASSIGN(const auto credential,
               node::enrol_into(options.identity,
                                {scheduler.first, scheduler.second,
                                 options.name.empty() ? host_name() : options.name},
                                shared));
  log_info("enrolled as " + credential.name + " of " + credential.datacenter);
  return {};
}

std::uint64_t tensor_peak(device::ContextStream& stream) {
  return stream.context().pool().statistics().peak_bytes;
}

Result<int> serve(const NodeCommand& options) {
  ATOLL_ASSIGN(const auto scheduler, parse_address(options.scheduler, "--scheduler"));
  ATOLL_ASSIGN(const auto listen, parse_address(options.listen, "--listen"));
  ATOLL_ASSIGN(const Reach dialable, parse_reach(options.dialable));
  ATOLL_ASSIGN(const DeviceName device, parse_device(options.device));
  ATOLL_TRY(security::forbid_core_dumps());
  ATOLL_TRY(enrol_once(options, scheduler));
  ATOLL_ASSIGN(auto identity, node::load_identity(options.identity));
  open_log(options.log, identity.name);
  std::shared_ptr<link::ucx::Context> ucx;
  if (!options.ucx.empty()) {
    ATOLL_ASSIGN(const auto ways, link::ucx::parse_ways(options.ucx));
    ATOLL_ASSIGN(ucx, link::ucx::Context::open(ways));
  }
  caf::actor_system_config config;
  config.set("scheduler.policy", caf::atom("sharing"));  // idle workers sleep instead of stealing
  config.set("scheduler.max-threads",
             std::size_t{1});  // handlers are short; compute has its own threads
  config.set("scheduler.max-throughput", std::size_t{16});
  caf::actor_system system(config);
  ops::tune::Tuner tuner(ops::tune::default_cache_path());
  const ops::tune::Tuning tuning(tuner);
  // Destroyed after the node and its crew, whose actors submit to them, and before the tuner, which
  // they ask.
  ATOLL_ASSIGN(const auto opened, device::open_stream(device, options.threads, options.plugins));
  device::ContextStream& compute = *opened;
  device::CpuStream io("io", 1);
  const actors::CrewSite site{system, compute, io, system_clock(), nullptr, nullptr, device};
  node::Node node(std::move(identity),
                  {scheduler.first, scheduler.second, listen.first, listen.second, dialable, ucx},
                  [site](const node::CrewSetup& setup) { return actors::make_crew(site, setup); });
  const Status status = node.run();
  const std::uint64_t host = tensor_peak(io) + ops::Pool::host().statistics().peak_bytes;
  const bool apart = !device.is_cpu();
  log_info("memory: tensors took at most " +
           format_size(tensor_peak(compute) + (apart ? 0 : host)) +
           (apart ? " of " + device.text() + " and " + format_size(host) + " of the host" : ""));
  if (!status.ok()) {
    log_error(status.error().text());
    return status.error();
  }
  return 0;
}

}  // namespace

void add_node(CLI::App& app, Action& action) {
  auto options = std::make_shared<NodeCommand>();
  CLI::App* command = app.add_subcommand(
      "node", "Offer this machine to a cluster and serve its jobs, one after another");
  command
      ->add_option("--identity", options->identity,
                   "Folder with node.key, credential, authority.pub, scheduler.pub")
      ->required();
  command->add_option(
      "--enrol", options->token,
      "Enrol with the token in this file, if the identity folder has no credential");
  command->add_option("--name", options->name, "Name to enrol under; default the host's");
  command->add_option("--scheduler", options->scheduler, "HOST:PORT of the scheduler")->required();
  command
      ->add_option("--listen", options->listen, "Address for other nodes; port 0 takes a free one")
      ->capture_default_str();
  command
      ->add_option("--dialable", options->dialable,
                   "From where other nodes can dial --listen: anywhere, datacenter or nowhere (it "
                   "then does not listen, and others are met at a third node)")
      ->capture_default_str();
  command->add_option("--threads", options->threads, "Compute threads")
      ->capture_default_str()
      ->check(CLI::Range(1, 1024));
  command
      ->add_option("--device", options->device,
                   "What it computes on: cpu, or a plug-in's name and the number of its device, "
                   "such as\n"
                   "cuda:0. The topology says it of the node in the same words")
      ->capture_default_str();
  command->add_option("--plugins", options->plugins,
                      "Folder with the plug-ins, libatoll_cuda.so for cuda; default lib beside "
                      "that of the program");
  command->add_option(
      "--ucx", options->ucx,
      "What UCX may use to nodes of the same datacenter that offer it too: shm, and network "
      "devices\n"
      "by its names (ucx_info -d), such as shm,mlx5_0:1; default TCP alone. The topology says it\n"
      "of the node in the same words");
  command->add_option("--log", options->log, "Log file; default stderr");
  command->callback([options, &action] { action = [options] { return serve(*options); }; });
}

}  // namespace reef::app
