// Two-sided tests with a real process at the other end, which dies by SIGKILL.

#include <gmock/gmock.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>

#include "runtime/base/file.h"
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

/// This very test program, running ChildProcess.DISABLED_Echoes; killed when the scope ends.
class Child {
 public:
  Child(std::uint16_t port, const std::filesystem::path& folder, bool sealed) {
    setenv("ATOLL_TEST_PORT", std::to_string(port).c_str(), 1);
    setenv("ATOLL_TEST_FOLDER", folder.c_str(), 1);
    setenv("ATOLL_TEST_SEALED", sealed ? "1" : "0", 1);
    std::string program = "/proc/self/exe", filter = "--gtest_filter=ChildProcess.*",
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

class Processes : public testing::TestWithParam<bool> {
 protected:
  void SetUp() override {
    sealed_ = GetParam();
    ASSERT_TRUE(identities_.node->save(folder_.path() / "node.key").ok());
    const Bytes credential = identities_.node_local().credential;
    ASSERT_TRUE(write_file(folder_.path() / "credential", credential).ok());
    ASSERT_TRUE(write_file(folder_.path() / "authority", identities_.authority.public_key()).ok());
    ASSERT_TRUE(write_file(folder_.path() / "scheduler", identities_.scheduler->noise_key()).ok());
    auto listener = tcp::Listener::listen(loop_, "127.0.0.1", 0, [this](std::unique_ptr<Link> l) {
      if (!sealed_) return meeting_.change([&] { link_ = std::move(l); });
      secure::accept(std::move(l), identities_.scheduler_local(), kNoDeadline,
                     [this](Result<std::unique_ptr<secure::SecureLink>> link) {
                       ASSERT_TRUE(link.ok()) << link.error().text();
                       meeting_.change([&] { link_ = std::move(link).value(); });
                     });
    });
    ASSERT_TRUE(listener.ok());
    listener_ = std::move(listener).value();
  }

  bool wait(const std::function<bool()>& condition) { return meeting_.wait(condition, nullptr); }

  Loop loop_;
  Folder folder_;
  Identities identities_;
  Meeting meeting_;
  Seen seen_;
  bool sealed_ = false;
  std::unique_ptr<Link> link_;
  std::unique_ptr<tcp::Listener> listener_;
};

TEST_P(Processes, EchoThenLoseAKilledPeerWithinASecond) {
  Child child(listener_->port(), folder_.path(), sealed_);
  ASSERT_TRUE(child.running());
  ASSERT_TRUE(wait([this] { return link_ != nullptr; }));
  Time lost{};
  link_->start(
      [this](Bytes frame) { meeting_.change([&] { seen_.frames.push_back(std::move(frame)); }); },
      [this, &lost](Error why) {
        meeting_.change([&] {
          lost = system_clock().now();
          seen_.closed.push_back(std::move(why));
        });
      });
  for (std::size_t i = 0; i < 300; ++i) {
    link_->send(pattern(1 + i * 200, i), kNoDeadline, nullptr);
  }
  ASSERT_TRUE(wait([this] { return seen_.frames.size() == 300; }));
  for (std::size_t i = 0; i < 300; ++i) ASSERT_EQ(seen_.frames[i], pattern(1 + i * 200, i));

  const Time killed = system_clock().now();
  child.kill();
  ASSERT_TRUE(wait([this] { return seen_.closed.size() == 1; }));
  EXPECT_EQ(seen_.closed[0].code, Code::kPeerLost) << seen_.closed[0].text();
  EXPECT_LT(seconds(lost - killed), 1.0);
  link_->send(Bytes(1), kNoDeadline, [this](const Status& status) {
    meeting_.change([&] { seen_.done.push_back(status); });
  });
  ASSERT_TRUE(wait([this] { return seen_.done.size() == 1; }));
  EXPECT_EQ(seen_.done[0].error().code, Code::kPeerLost);
}

INSTANTIATE_TEST_SUITE_P(Tcp, Processes, testing::Values(false, true),
                         [](const auto& info) { return info.param ? "sealed" : "plain"; });

security::PublicKey read_key(const std::filesystem::path& path) {
  const std::string raw = read_file(path).value();
  security::PublicKey key;
  std::copy_n(as_bytes(raw).begin(), key.size(), key.begin());
  return key;
}

/// The other side: dials the parent and echoes until it is killed or let go.
TEST(ChildProcess, DISABLED_Echoes) {
  const char* port = std::getenv("ATOLL_TEST_PORT");
  if (port == nullptr) GTEST_SKIP() << "this is the child's half of Processes";
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
  tcp::dial(loop, "127.0.0.1", static_cast<std::uint16_t>(std::atoi(port)), kNoDeadline,
            [&](Result<std::unique_ptr<Link>> dialled) {
              ASSERT_TRUE(dialled.ok()) << dialled.error().text();
              if (std::getenv("ATOLL_TEST_SEALED") == std::string("0")) {
                return run(std::move(dialled).value());
              }
              secure::Local local;
              local.key = std::make_shared<security::NodeKey>(
                  security::NodeKey::load(folder / "node.key").value());
              local.credential = to_bytes(as_bytes(read_file(folder / "credential").value()));
              local.authority = read_key(folder / "authority");
              local.cluster = security::cluster_id_of(local.authority);
              secure::connect(std::move(dialled).value(), local,
                              {read_key(folder / "scheduler"), security::Role::kScheduler},
                              {.stream = 1, .streams = 2}, kNoDeadline,
                              [&](Result<std::unique_ptr<secure::SecureLink>> sealed) {
                                ASSERT_TRUE(sealed.ok()) << sealed.error().text();
                                run(std::move(sealed).value());
                              });
            });
  meeting.wait([&] { return ended; }, nullptr);
  loop.call([&link] { link.reset(); });
}

}  // namespace
}  // namespace reef::link
