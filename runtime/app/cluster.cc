#include "runtime/app/cluster.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <charconv>
#include <cstring>
#include <thread>

#include "runtime/base/file.h"

namespace reef::app {
namespace {

constexpr Duration kStartTime = std::chrono::seconds(10);
constexpr Duration kPollEvery = std::chrono::milliseconds(5);
constexpr Duration kGraceTime = std::chrono::seconds(1);

/// Waits until the process has ended, no longer than `limit`; true when it has.
bool reap(pid_t pid, Duration limit, int* status = nullptr) {
  const Time until = system_clock().now() + limit;
  int local = 0;
  while (::waitpid(pid, status ? status : &local, WNOHANG) == 0) {
    if (system_clock().now() > until) return false;
    std::this_thread::sleep_for(kPollEvery);
  }
  return true;
}

}  // namespace

Cluster::Cluster(std::filesystem::path run_folder, topology::Topology topology,
                 std::string topology_path, std::filesystem::path plugins)
    : run_folder_(std::move(run_folder)),
      topology_(std::move(topology)),
      topology_path_(std::move(topology_path)),
      plugins_(std::move(plugins)) {}

Cluster::~Cluster() {
  for (const auto& [name, pid] : processes_) ::kill(pid, SIGTERM);
  for (const auto& [name, pid] : processes_) {
    if (reap(pid, kGraceTime)) continue;
    ::kill(pid, SIGKILL);
    ::waitpid(pid, nullptr, 0);
  }
}

Status Cluster::start(std::uint16_t port) {
  ATOLL_TRY(make_identities());
  const std::string identities = (run_folder_ / "identities").string();
  const std::string logs = (run_folder_ / "logs").string();
  ATOLL_TRY(spawn("scheduler", {"scheduler", "--identity", identities + "/scheduler", "--topology",
                                topology_path_, "--listen", "127.0.0.1:" + std::to_string(port),
                                "--database", (run_folder_ / "scheduler.db").string(),
                                "--address-file", (run_folder_ / "scheduler.address").string(),
                                "--log", logs + "/scheduler.log"}));
  ATOLL_TRY(wait_for_address());
  for (const topology::Node& node : topology_.nodes) {
    std::vector<std::string> arguments{"node",
                                       "--identity",
                                       identities + "/" + node.name,
                                       "--scheduler",
                                       "127.0.0.1:" + std::to_string(port_),
                                       "--listen",
                                       "127.0.0.1:0",
                                       "--dialable",
                                       std::string(reach_name(node.dialable)),
                                       "--threads",
                                       std::to_string(node.threads),
                                       "--log",
                                       logs + "/" + node.name + ".log"};
    if (!node.ucx.empty()) arguments.insert(arguments.end(), {"--ucx", node.ucx});
    if (!node.device.name.is_cpu()) {
      arguments.insert(arguments.end(),
                       {"--device", node.device.name.text(), "--plugins", plugins_.string()});
    }
    ATOLL_TRY(spawn(node.name, arguments));
  }
  return {};
}

Status Cluster::make_identities() {
  // The authority's key signs once and is forgotten: nobody can join this cluster later.
  const auto authority = security::Authority::generate();
  const auto scheduler_key = security::NodeKey::generate();
  const auto folder = run_folder_ / "identities";
  const auto write = [&](const std::string& name, security::Role role,
                         const std::string& datacenter, const security::NodeKey& key) {
    return node::write_identity(folder / name, authority, name, role, datacenter, key,
                                scheduler_key.noise_key());
  };
  ATOLL_TRY(write("scheduler", security::Role::kScheduler, "local", scheduler_key));
  ATOLL_TRY(write("client", security::Role::kClient, "local", security::NodeKey::generate()));
  for (const topology::Node& node : topology_.nodes) {
    ATOLL_TRY(
        write(node.name, security::Role::kNode, node.datacenter, security::NodeKey::generate()));
  }
  ATOLL_ASSIGN(client_, node::load_identity(folder / "client"));
  return {};
}

Status Cluster::spawn(const std::string& name, const std::vector<std::string>& arguments) {
  // All memory is taken before fork: between it and exec only async-signal-safe calls are allowed.
  std::vector<char*> argv;
  std::string program = "atoll";
  argv.push_back(program.data());
  std::vector<std::string> copies = arguments;
  for (std::string& argument : copies) argv.push_back(argument.data());
  argv.push_back(nullptr);
  const std::string errors = error_file(name).string();
  const pid_t parent = ::getpid();
  const pid_t pid = ::fork();
  if (pid < 0)
    return Error{Code::kIo, name, std::string("cannot start a process: ") + std::strerror(errno)};
  if (pid == 0) {
    ::setpgid(0, 0);  // Ctrl-C at the terminal is for the parent, which stops the job in order
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (::getppid() != parent) ::_exit(1);
    const int fd = ::open(errors.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
    if (fd >= 0) ::dup2(fd, STDERR_FILENO);
    ::execv("/proc/self/exe", argv.data());
    ::_exit(127);
  }
  processes_[name] = pid;
  return {};
}

std::filesystem::path Cluster::error_file(const std::string& name) const {
  return run_folder_ / "logs" / (name + ".err");
}

Status Cluster::wait_for_address() {
  const auto path = run_folder_ / "scheduler.address";
  const Time until = system_clock().now() + kStartTime;
  const pid_t pid = processes_.at("scheduler");
  while (!std::filesystem::exists(path)) {
    if (::waitpid(pid, nullptr, WNOHANG) == pid) {
      processes_.erase("scheduler");
      ATOLL_ASSIGN(const std::string said, read_file(error_file("scheduler"), 65536));
      return parse_error(said.substr(0, said.find('\n')));
    }
    if (system_clock().now() > until)
      return Error{Code::kTimedOut, "scheduler", "did not start in time"};
    std::this_thread::sleep_for(kPollEvery);
  }
  ATOLL_ASSIGN(const std::string address, read_file(path, 256));
  const std::string digits = address.substr(address.rfind(':') + 1);
  std::from_chars(digits.data(), digits.data() + digits.size(), port_);
  if (port_ == 0) return Error{Code::kIo, path.string(), "holds no address"};
  return {};
}

void Cluster::stop(Duration limit) {
  if (const auto scheduler = processes_.find("scheduler"); scheduler != processes_.end())
    ::kill(scheduler->second, SIGTERM);
  const Time until = system_clock().now() + limit;
  for (auto at = processes_.begin(); at != processes_.end();) {
    const bool node = at->first != "scheduler";
    at =
        node && reap(at->second, std::max(Duration::zero(), Duration(until - system_clock().now())))
            ? processes_.erase(at)
            : std::next(at);
  }
}

}  // namespace reef::app
