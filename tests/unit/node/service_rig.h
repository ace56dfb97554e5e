#pragma once
// A scheduler over real sockets, and members that dial it by hand.

#include <algorithm>
#include <atomic>
#include <fstream>
#include <future>
#include <set>
#include <thread>

#include "runtime/base/file.h"
#include "runtime/link/tcp/tcp.h"
#include "runtime/node/enrol.h"
#include "scheduler/plan/encoding.h"
#include "scheduler/service/service.h"
#include "security/audit/verify.h"
#include "tests/unit/scheduler/samples.h"
#include "tests/unit/scratch_folder.h"

namespace reef::service {
using namespace std::chrono_literals;
using security::NodeKey;
using security::Role;

/// A member's channel to the scheduler, on a thread of its own.
class Dialler {
 public:
  using Sealed = Result<std::unique_ptr<link::secure::SecureLink>>;

  Status dial(const node::Identity& identity, std::uint16_t port) {
    auto promise = std::make_shared<std::promise<Status>>();
    auto future = promise->get_future();
    const Deadline deadline = loop_.clock().now() + 10s;
    link::secure::Local local = identity.local;
    local.ping_every = 100ms;  // there are tests with little patience
    link::tcp::dial(loop_, "127.0.0.1", port, deadline,
                    [this, &identity, local, deadline, promise](auto plain) {
                      if (!plain.ok()) return promise->set_value(plain.error());
                      link::secure::connect(std::move(*plain), local,
                                            {identity.scheduler, Role::kScheduler}, {}, deadline,
                                            [this, promise](Sealed sealed) {
                                              if (!sealed.ok())
                                                return promise->set_value(sealed.error());
                                              talk(std::move(*sealed));
                                              promise->set_value({});
                                            });
                    });
    return future.get();
  }
  ~Dialler() {
    heard_again_.set_value();
    channel_.reset();
    loop_.stop();
  }
  /// From now on it neither hears nor says anything, as if its line were cut.
  void fall_silent() {
    loop_.post([until = heard_again_.get_future().share()] { until.wait(); });
  }
  void send(link::Message message) {
    channel_->send(std::move(message), kNoDeadline, [](const Status&) {});
  }
  /// Waits for a message of this kind.
  std::optional<link::Message> expect(node::Kind kind) {
    std::optional<link::Message> found;
    std::unique_lock lock(mutex_);
    changed_.wait_for(lock, 10s, [&] {
      for (const link::Message& message : messages_) {
        if (message.kind == static_cast<std::uint16_t>(kind)) found = message;
      }
      return found.has_value();
    });
    return found;
  }
  /// Waits until one of all messages of this kind, not only the newest, is as `right` has it.
  template <typename Right>
  bool hears(node::Kind kind, Right&& right) {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, 10s, [&] {
      return std::ranges::any_of(messages_, [&](const link::Message& message) {
        return message.kind == static_cast<std::uint16_t>(kind) && right(message);
      });
    });
  }
  bool closed() {
    const std::lock_guard lock(mutex_);
    return closed_;
  }
  bool expect_closed() {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, 10s, [this] { return closed_; });
  }

 private:
  void talk(std::unique_ptr<link::secure::SecureLink> link) {
    channel_ = link::Channel::create(std::move(link));
    channel_->start(
        [this](link::Message message) {
          const std::lock_guard lock(mutex_);
          messages_.push_back(std::move(message));
          changed_.notify_all();
        },
        [this](const Error&) {
          const std::lock_guard lock(mutex_);
          closed_ = true;
          changed_.notify_all();
        });
  }
  std::promise<void> heard_again_;
  link::Loop loop_;
  std::unique_ptr<link::Channel> channel_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<link::Message> messages_;
  bool closed_ = false;
};

class ServiceTest : public testing::Test {
 protected:
  void SetUp() override {
    const auto scheduler = NodeKey::generate();
    ASSERT_TRUE(node::write_identity(folder_ / "scheduler", *authority_, "scheduler",
                                     Role::kScheduler, "hq", scheduler, scheduler.noise_key())
                    .ok());
    start();
  }
  void start() {
    identity_ = node::load_identity(folder_ / "scheduler").value();
    identity_.local.unix_now = [this] { return link::secure::system_unix_now() + ahead_; };
    if (silence_ > Duration()) {
      identity_.local.lost_after = silence_;
      identity_.local.ping_every = silence_ / 8;
    }
    audit_ = security::AuditLog::open(folder_ / "audit.log", identity_.local.key,
                                      link::secure::system_unix_now)
                 .value();
    service_ = std::make_unique<Service>(
        identity_, topology_, Store::open(folder_ / "db").value(),
        ServiceOptions{"127.0.0.1", 0, {authority_, audit_, folder_ / "roster"}, measured_});
    port_ = service_->start().value();
    store_ = Store::open(folder_ / "db").value();
  }
  std::shared_ptr<const security::EnrolmentToken> token(Role role = Role::kNode,
                                                        const std::string& datacenter = "east") {
    return std::make_shared<const security::EnrolmentToken>(
        create_token(*store_, identity_.local.key->noise_key(), role, datacenter,
                     link::secure::system_unix_now(), 900)
            .value());
  }
  /// A node of the topology that has said hello.
  std::unique_ptr<Dialler> node_named(const std::string& name, Reach dialable) {
    auto node = std::make_unique<Dialler>();
    const auto place = std::ranges::find(topology_.nodes, name, &topology::Node::name);
    EXPECT_TRUE(node->dial(enrolled(name, place->datacenter), port_).ok());
    const std::uint16_t port = dialable == Reach::kNowhere ? 0 : 9;
    node->send(node::hello_message({"127.0.0.1", port, dialable}));
    return node;
  }
  /// With the identity that it has already, and the jobs that it has gone on with.
  std::unique_ptr<Dialler> node_again(const std::string& name,
                                      std::vector<std::uint64_t> holds = {}) {
    auto node = std::make_unique<Dialler>();
    EXPECT_TRUE(node->dial(node::load_identity(folder_ / name).value(), port_).ok());
    node->send(node::hello_message({"127.0.0.1", 9, Reach::kAnywhere, std::move(holds)}));
    return node;
  }
  std::unique_ptr<Dialler> client(const std::string& name = "user") {
    EXPECT_TRUE(
        node::enrol_into(folder_ / name, options(name, Role::kClient), token(Role::kClient)).ok());
    auto client = std::make_unique<Dialler>();
    EXPECT_TRUE(client->dial(node::load_identity(folder_ / name).value(), port_).ok());
    return client;
  }
  node::EnrolOptions options(const std::string& name, Role role = Role::kNode) const {
    return {"127.0.0.1", port_, name, role};
  }
  node::Identity enrolled(const std::string& name, const std::string& datacenter = "east") {
    const auto result =
        node::enrol_into(folder_ / name, options(name), token(Role::kNode, datacenter));
    EXPECT_TRUE(result.ok()) << result.error().text();
    return node::load_identity(folder_ / name).value();
  }
  void revoke(const security::Roster& roster) {
    ASSERT_TRUE(
        write_file(folder_ / "roster", as_bytes(security::sign_roster(roster, *authority_).value()))
            .ok());
  }
  /// The service may be about to say it: the peer hears of a refusal at the same moment.
  bool recorded(const std::string& what) {
    return within([&] { return count(what) > 0; });
  }
  std::size_t count(const std::string& what) {
    audit_->flush();
    const std::string log = read_file(folder_ / "audit.log").value();
    std::size_t found = 0;
    for (auto at = log.find(what); at != log.npos; at = log.find(what, at + 1)) ++found;
    return found;
  }
  template <typename Condition>
  static bool within(Condition condition) {
    const Time until = system_clock().now() + 5s;
    do {
      if (condition()) return true;
      std::this_thread::yield();
    } while (system_clock().now() < until);
    return false;
  }

  ScratchFolder folder_;
  std::shared_ptr<const security::Authority> authority_ =
      std::make_shared<const security::Authority>(security::Authority::generate());
  node::Identity identity_;
  topology::Topology topology_;
  decltype(ServiceOptions::measured) measured_;
  std::shared_ptr<security::AuditLog> audit_;
  std::unique_ptr<Service> service_;
  std::unique_ptr<Store> store_;
  std::uint16_t port_ = 0;
  std::atomic<std::uint64_t> ahead_{0};  ///< the scheduler's clock, in seconds
  Duration silence_{};                   ///< after which a member is lost, if it is given
};

}  // namespace reef::service
