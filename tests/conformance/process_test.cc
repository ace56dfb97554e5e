// Two-sided tests with a real process at the other end, which dies by SIGKILL.

#include <gmock/gmock.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>
#include <filesystem>

#include "runtime/base/file.h"
#include "runtime/link/relay/dial.h"
#include "tests/conformance/rig.h"

extern char** environ;

namespace reef::link {
namespace {

/// A folder with what the child needs to be a node.
class Folder {
 public:
  Folder() {
    std::string name = (std::filesystem::temp_directory_path() / "atoll-link-XXXXXX").string();
    if (mkdtemp(name.data()) == nullptr) std::abort();
    path_ = name;
  }
  ~Folder() { std::filesystem::remove_all(path_); }
  const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

/// This very test program, running ChildProcess.DISABLED_<part>; killed when the scope ends.
class Child {
 public:
  Child(const std::string& part, std::uint16_t port, const std::filesystem::path& folder,
        const std::string& path) {
    setenv("ATOLL_TEST_PORT", std::to_string(port).c_str(), 1);
    setenv("ATOLL_TEST_FOLDER", folder.c_str(), 1);
    setenv("ATOLL_TEST_PATH", path.c_str(), 1);
    std::string program = "/proc/self/exe", filter = "--gtest_filter=ChildProcess.DISABLED_" + part,
                disabled = "--gtest_also_run_disabled_tests";
    char* arguments[] = {program.data(), filter.data(), disabled.data(), nullptr};
    if (posix_spawn(&pid_, program.c_str(), nullptr, nullptr, arguments, environ) != 0) pid_ = 0;
  }
  ~Child() { kill(); }
  void kill() {
    if (pid_ <= 0) return;
    ::kill(pid_, SIGKILL);
    waitpid(pid_, nullptr, 0);
    pid_ = 0;
  }
  bool running() const { return pid_ > 0; }

 private:
  pid_t pid_ = 0;
};

bool is_sealed(const std::string& path) { return path.starts_with("secure_"); }
std::string transport_of(const std::string& path) {
  return is_sealed(path) ? path.substr(std::strlen("secure_")) : path;
}

/// Of a connection that has just been made, the link of this transport.
void change_transport(Loop& loop, const std::string& transport, std::unique_ptr<Link> tcp,
                      const std::function<void(std::unique_ptr<Link>)>& done) {
  if (transport == "tcp") return done(std::move(tcp));
  const Deadline deadline = system_clock().now() + std::chrono::seconds(10);
  ucx::join(loop, ucx_context(transport), std::move(tcp), deadline,
            [done](Result<std::unique_ptr<Link>> link) {
              ASSERT_TRUE(link.ok()) << link.error().text();
              done(std::move(link).value());
            });
}

/// How the echo is reached: a name of rig.h, of a transport between processes.
class Processes : public testing::TestWithParam<std::string> {
 protected:
  void SetUp() override {
    ASSERT_TRUE(identities_.node->save(folder_.path() / "node.key").ok());
    const Bytes credential = identities_.node_local().credential;
    ASSERT_TRUE(write_file(folder_.path() / "credential", credential).ok());
    ASSERT_TRUE(write_file(folder_.path() / "authority", identities_.authority.public_key()).ok());
    ASSERT_TRUE(write_file(folder_.path() / "scheduler", identities_.scheduler->noise_key()).ok());
    const secure::Local relay = identities_.relay_local();
    ASSERT_TRUE(identities_.between->save(folder_.path() / "relay.key").ok());
    ASSERT_TRUE(write_file(folder_.path() / "relay.credential", relay.credential).ok());
    ASSERT_TRUE(write_file(folder_.path() / "relay", identities_.between->noise_key()).ok());
    auto listener = tcp::Listener::listen(loop_, "127.0.0.1", 0, [this](std::unique_ptr<Link> l) {
      if (relayed()) return hear_relay(std::move(l));
      change_transport(loop_, transport_of(GetParam()), std::move(l),
                       [this](std::unique_ptr<Link> link) {
                         if (is_sealed(GetParam())) return seal(std::move(link));
                         meeting_.change([&] { link_ = std::move(link); });
                       });
    });
    ASSERT_TRUE(listener.ok());
    listener_ = std::move(listener).value();
    if (relayed()) {
      relay_ = child("Relays", listener_->port());
      ASSERT_TRUE(wait([this] { return relay_port_ != 0; }));
    }
    echo_ = child("Echoes", relay_ ? relay_port_ : listener_->port());
  }

  static bool relayed() { return transport_of(GetParam()) == "relay_tcp"; }

  std::unique_ptr<Child> child(const std::string& part, std::uint16_t port) {
    return std::make_unique<Child>(part, port, folder_.path(), GetParam());
  }

  /// The relay is a process of its own, and tells where it listens.
  void hear_relay(std::unique_ptr<Link> plain) {
    from_relay_ = std::move(plain);
    const auto heard = [this](const Bytes& frame) {
      const auto port = load<std::uint16_t>(frame.data());
      relay::dial(loop_, {"hub", "127.0.0.1", port, identities_.between->noise_key()},
                  identities_.scheduler_local(), {7, identities_.node->noise_key(), 1}, "echo",
                  kNoDeadline, {}, [this](Result<std::unique_ptr<Link>> link) {
                    ASSERT_TRUE(link.ok()) << link.error().text();
                    seal(std::move(link).value());
                  });
      meeting_.change([&] { relay_port_ = port; });
    };
    from_relay_->start(heard, nullptr);
  }

  void seal(std::unique_ptr<Link> plain) {
    secure::accept(std::move(plain), identities_.scheduler_local(), kNoDeadline,
                   [this](Result<std::unique_ptr<secure::SecureLink>> link) {
                     ASSERT_TRUE(link.ok()) << link.error().text();
                     meeting_.change([&] { link_ = std::move(link).value(); });
                   });
  }

  /// Starts the link; what it brings is in seen_, and when it ended in lost_.
  void start();
  Error lost_within_a_second_of(Time killed);
  /// Echoes for a while, then loses whom `kill` kills; returns why.
  Error echo_then_lose(const std::function<void()>& kill);

  bool wait(const std::function<bool()>& condition) { return meeting_.wait(condition, nullptr); }

  Loop loop_;
  Folder folder_;
  Identities identities_;
  Meeting meeting_;
  Seen seen_;
  Time lost_{};
  std::unique_ptr<Child> relay_, echo_;
  std::uint16_t relay_port_ = 0;
  std::unique_ptr<Link> from_relay_;
  std::unique_ptr<Link> link_;
  std::unique_ptr<tcp::Listener> listener_;
};

void Processes::start() {
  link_->start(
      [this](Bytes frame) { meeting_.change([&] { seen_.frames.push_back(std::move(frame)); }); },
      [this](Error why) {
        meeting_.change([&] {
          lost_ = system_clock().now();
          seen_.closed.push_back(std::move(why));
        });
      });
}

Error Processes::lost_within_a_second_of(Time killed) {
  EXPECT_TRUE(wait([this] { return seen_.closed.size() == 1; }));
  EXPECT_EQ(seen_.closed.at(0).code, Code::kPeerLost) << seen_.closed[0].text();
  EXPECT_LT(seconds(lost_ - killed), 1.0);
  return seen_.closed[0];
}

Error Processes::echo_then_lose(const std::function<void()>& kill) {
  EXPECT_TRUE(wait([this] { return link_ != nullptr; }));
  start();
  for (std::size_t i = 0; i < 300; ++i) {
    link_->send(pattern(1 + i * 200, i), kNoDeadline, nullptr);
  }
  EXPECT_TRUE(wait([this] { return seen_.frames.size() == 300; }));
  for (std::size_t i = 0; i < 300; ++i) EXPECT_EQ(seen_.frames.at(i), pattern(1 + i * 200, i));

  const Time killed = system_clock().now();
  kill();
  Error why = lost_within_a_second_of(killed);
  link_->send(Bytes(1), kNoDeadline, [this](const Status& status) {
    meeting_.change([&] { seen_.done.push_back(status); });
  });
  EXPECT_TRUE(wait([this] { return seen_.done.size() == 1; }));
  EXPECT_EQ(seen_.done.at(0).error().code, Code::kPeerLost);
  return why;
}

TEST_P(Processes, EchoThenLoseAKilledPeerWithinASecond) {
  const Error why = echo_then_lose([this] { echo_->kill(); });
  if (!relayed()) return;
  EXPECT_EQ(why.text(), "E_PEER_LOST: relay hub: echo was lost at the other side of it");
}

class RelayedProcesses : public Processes {};

TEST_P(RelayedProcesses, LoseAKilledRelayWithinASecond) {
  const Error why = echo_then_lose([this] { relay_->kill(); });
  EXPECT_THAT(why.text(), testing::StartsWith("E_PEER_LOST: relay hub: the relay itself was lost"));
}

TEST_P(Processes, LoseAPeerKilledUnderLoadWithinASecond) {
  ASSERT_TRUE(wait([this] { return link_ != nullptr; }));
  start();
  constexpr std::size_t kFrames = 4000;
  for (std::size_t i = 0; i < kFrames; ++i) {
    link_->send(Bytes(60'000), kNoDeadline, [this](const Status& status) {
      meeting_.change([&] { seen_.done.push_back(status); });
    });
  }
  ASSERT_TRUE(wait([this] { return seen_.frames.size() >= 20; }));
  const Time killed = system_clock().now();
  echo_->kill();
  lost_within_a_second_of(killed);
  ASSERT_TRUE(wait([this] { return seen_.done.size() == kFrames; }));
  EXPECT_FALSE(seen_.done.back().ok());
}

constexpr auto kName = [](const auto& info) { return info.param; };

INSTANTIATE_TEST_SUITE_P(Over, Processes,
                         testing::Values("tcp", "secure_tcp", "ucx_shm", "secure_ucx_shm",
                                         "ucx_tcp", "secure_ucx_tcp", "secure_relay_tcp"),
                         kName);
INSTANTIATE_TEST_SUITE_P(Over, RelayedProcesses, testing::Values("secure_relay_tcp"), kName);

security::PublicKey read_key(const std::filesystem::path& path) {
  const std::string raw = read_file(path).value();
  security::PublicKey key;
  std::copy_n(as_bytes(raw).begin(), key.size(), key.begin());
  return key;
}

secure::Local local_of(const std::filesystem::path& folder, const std::string& key,
                       const std::string& credential) {
  secure::Local local;
  local.key = std::make_shared<security::NodeKey>(security::NodeKey::load(folder / key).value());
  local.credential = to_bytes(as_bytes(read_file(folder / credential).value()));
  local.authority = read_key(folder / "authority");
  local.cluster = security::cluster_id_of(local.authority);
  return local;
}

/// The other side: dials the parent, or the relay, and echoes until it is killed or let go.
TEST(ChildProcess, DISABLED_Echoes) {
  const char* variable = std::getenv("ATOLL_TEST_PORT");
  if (variable == nullptr) GTEST_SKIP() << "this is the child's half of Processes";
  const auto port = static_cast<std::uint16_t>(std::atoi(variable));
  const std::string path = std::getenv("ATOLL_TEST_PATH");
  const std::filesystem::path folder = std::getenv("ATOLL_TEST_FOLDER");
  Loop loop;
  Meeting meeting;
  bool ended = false;
  std::unique_ptr<Link> link;
  const auto run = [&](std::unique_ptr<Link> connected) {
    link = std::move(connected);
    link->start([&link](Bytes frame) { link->send(std::move(frame), kNoDeadline, nullptr); },
                [&](const Error&) { meeting.change([&] { ended = true; }); });
  };
  const secure::Local local = local_of(folder, "node.key", "credential");
  const secure::ExpectedPeer parent{read_key(folder / "scheduler"), security::Role::kScheduler};
  const auto opened = [&](std::unique_ptr<Link> plain) {
    if (!is_sealed(path)) return run(std::move(plain));
    secure::connect(std::move(plain), local, parent, {.stream = 1, .streams = 2}, kNoDeadline,
                    [&](Result<std::unique_ptr<secure::SecureLink>> sealed) {
                      ASSERT_TRUE(sealed.ok()) << sealed.error().text();
                      run(std::move(sealed).value());
                    });
  };
  const bool relayed = transport_of(path) == "relay_tcp";
  const auto dialled = [&](Result<std::unique_ptr<Link>> plain) {
    ASSERT_TRUE(plain.ok()) << plain.error().text();
    if (relayed) return opened(std::move(plain).value());
    change_transport(loop, transport_of(path), std::move(plain).value(), opened);
  };
  if (relayed) {
    relay::dial(loop, {"hub", "127.0.0.1", port, read_key(folder / "relay")}, local,
                {7, parent.noise_key, 1}, "parent", kNoDeadline, {}, dialled);
  } else {
    tcp::dial(loop, "127.0.0.1", port, kNoDeadline, dialled);
  }
  meeting.wait([&] { return ended; }, nullptr);
  loop.call([&link] { link.reset(); });
}

/// The node between: says where it listens and passes on until it is killed.
TEST(ChildProcess, DISABLED_Relays) {
  const char* port = std::getenv("ATOLL_TEST_PORT");
  if (port == nullptr) GTEST_SKIP() << "this is the relay's part of Processes";
  const std::filesystem::path folder = std::getenv("ATOLL_TEST_FOLDER");
  const secure::Local local = local_of(folder, "relay.key", "relay.credential");
  Loop loop;
  relay::Relay relay(loop, std::chrono::seconds(10),
                     [](const security::Credential&, const relay::Join&) { return Status(); });
  auto listener = tcp::Listener::listen(loop, "127.0.0.1", 0, [&](std::unique_ptr<Link> plain) {
                    secure::accept(std::move(plain), local, kNoDeadline,
                                   [&relay](Result<std::unique_ptr<secure::SecureLink>> leg) {
                                     if (!leg.ok()) return;
                                     const security::Credential who = (*leg)->peer();
                                     relay.add(std::move(*leg), who);
                                   });
                  }).value();
  std::unique_ptr<Link> parent;
  tcp::dial(loop, "127.0.0.1", static_cast<std::uint16_t>(std::atoi(port)), kNoDeadline,
            [&](Result<std::unique_ptr<Link>> dialled) {
              ASSERT_TRUE(dialled.ok()) << dialled.error().text();
              parent = std::move(dialled).value();
              Bytes frame(2);
              store(frame.data(), listener->port());
              parent->send(std::move(frame), kNoDeadline, nullptr);
            });
  Meeting().wait([] { return false; }, nullptr);
}

}  // namespace
}  // namespace reef::link
