#pragma once
// What a two-sided link test needs: two ends over any implementation, identities, and a way to wait
// that works on threads as well as on a simulated clock.

#include <gtest/gtest.h>

#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "runtime/link/inproc/inproc.h"
#include "runtime/link/link.h"
#include "runtime/link/loop.h"
#include "runtime/link/relay/end.h"
#include "runtime/link/relay/relay.h"
#include "runtime/link/secure/secure_link.h"
#include "runtime/link/sim/sim.h"
#include "runtime/link/tcp/tcp.h"
#include "runtime/link/ucx/ucx.h"

namespace reef::link {

/// A cluster of one authority, a scheduler (who accepts), a node (who dials) and a relay.
struct Identities {
  security::Authority authority = security::Authority::generate();
  std::shared_ptr<const security::NodeKey> scheduler =
      std::make_shared<security::NodeKey>(security::NodeKey::generate());
  std::shared_ptr<const security::NodeKey> node =
      std::make_shared<security::NodeKey>(security::NodeKey::generate());
  std::shared_ptr<const security::NodeKey> between =
      std::make_shared<security::NodeKey>(security::NodeKey::generate());
  std::uint64_t not_after = secure::system_unix_now() + 3600;

  security::Credential credential(security::Role role) const {
    const bool is_node = role == security::Role::kNode;
    const security::NodeKey& key = is_node ? *node : *scheduler;
    return {authority.cluster(),
            is_node ? "node-1" : "scheduler",
            key.noise_key(),
            key.identity_key(),
            role,
            "here",
            not_after,
            1};
  }
  secure::Local local(security::Role role) const {
    secure::Local local;
    local.key = role == security::Role::kNode ? node : scheduler;
    local.credential = authority.issue(credential(role)).value();
    local.authority = authority.public_key();
    local.cluster = authority.cluster();
    local.role = role;
    local.counters = std::make_shared<secure::Counters>();
    return local;
  }
  secure::Local node_local() const { return local(security::Role::kNode); }
  secure::Local scheduler_local() const { return local(security::Role::kScheduler); }
  /// The node between the two, when one is needed.
  secure::Local relay_local() const {
    secure::Local local = node_local();
    security::Credential own = credential(security::Role::kNode);
    own.name = "hub";
    own.noise_key = between->noise_key();
    own.identity_key = between->identity_key();
    local.key = between;
    local.credential = authority.issue(own).value();
    return local;
  }
  secure::ExpectedPeer expected() const {
    return {scheduler->noise_key(), security::Role::kScheduler};
  }
};

/// Where callbacks of a test meet: they change its state under the lock, the test waits for it.
class Meeting {
 public:
  void change(const std::function<void()>& act) {
    {
      const std::lock_guard lock(mutex_);
      act();
    }
    changed_.notify_all();
  }
  bool wait(const std::function<bool()>& condition, sim::SimNetwork* network) {
    if (network != nullptr) return network->run_while_not(condition, std::chrono::seconds(60));
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, std::chrono::seconds(20), condition);
  }
  template <typename T>
  T read(const std::function<T()>& get) {
    const std::lock_guard lock(mutex_);
    return get();
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
};

/// What one end has seen.
struct Seen {
  std::vector<Bytes> frames;
  std::vector<Error> closed;
  std::vector<Status> done;
};

/// UCX as a name of an implementation says it, "ucx_shm" or "ucx_tcp"; opened once a process.
inline std::shared_ptr<ucx::Context> ucx_context(const std::string& name) {
  static const auto shm = ucx::Context::open({.shared_memory = true, .devices = ""});
  static const auto tcp = ucx::Context::open({.shared_memory = false, .devices = "lo"});
  const auto& context = name == "ucx_shm" ? shm : tcp;
  EXPECT_TRUE(context.ok()) << context.error().text();
  return *context;
}

/// Implementations by name: "inproc", "tcp", "sim", "relay_tcp", "relay_sim", "ucx_shm", "ucx_tcp",
/// each also as "secure_...".
class Rig {
 public:
  explicit Rig(const std::string& name) {
    const bool sealed = name.starts_with("secure_");
    const std::string plain = sealed ? name.substr(7) : name;
    line_.jitter = std::chrono::milliseconds(2);
    line_.loss = 0.01;
    line_.window = 1 << 20;
    if (plain.ends_with("sim")) {
      network_ = std::make_unique<sim::SimNetwork>(1);
      if (plain == "sim") std::tie(a, b) = network_->connect("a", "b", line_);
    } else {
      left_ = std::make_unique<Loop>();
      right_ = std::make_unique<Loop>();
      if (plain == "inproc") std::tie(a, b) = inproc::pair(*left_, *right_);
      if (plain == "tcp") connect_tcp();
      if (plain.starts_with("ucx_")) connect_ucx(plain);
    }
    if (plain.starts_with("relay")) join();
    if (sealed) seal();
  }
  ~Rig() {
    a.reset();
    b.reset();
    if (relay_) middle().call([this] { relay_.reset(); });
  }

  bool wait(const std::function<bool()>& condition) {
    return meeting.wait(condition, network_.get());
  }
  /// The time that deadlines are measured in.
  Time now() { return (network_ ? network_->clock() : system_clock()).now(); }
  void start(Link& link, Seen& seen) {
    link.start(
        [this, &seen](Bytes frame) {
          meeting.change([&] { seen.frames.push_back(std::move(frame)); });
        },
        [this, &seen](Error why) { meeting.change([&] { seen.closed.push_back(why); }); });
  }
  Done done(Seen& seen) {
    return [this, &seen](const Status& status) {
      meeting.change([&] { seen.done.push_back(status); });
    };
  }

  Meeting meeting;
  Identities identities;

 private:
  void connect_tcp() {
    auto listener = tcp::Listener::listen(*right_, "127.0.0.1", 0, [this](std::unique_ptr<Link> l) {
      meeting.change([&] { b = std::move(l); });
    });
    ASSERT_TRUE(listener.ok()) << listener.error().text();
    tcp::dial(*left_, "127.0.0.1", (*listener)->port(), now() + std::chrono::seconds(10),
              [this](Result<std::unique_ptr<Link>> link) {
                ASSERT_TRUE(link.ok()) << link.error().text();
                meeting.change([&] { a = std::move(link).value(); });
              });
    ASSERT_TRUE(wait([this] { return a && b; }));
  }

  /// Waits for a link that is being made.
  auto keep(std::unique_ptr<Link>& to) {
    return [this, &to](Result<std::unique_ptr<Link>> link) {
      ASSERT_TRUE(link.ok()) << link.error().text();
      meeting.change([&] { to = std::move(link).value(); });
    };
  }

  /// The relay's own executor.
  Executor& middle() {
    if (network_) return *network_;
    if (!middle_) middle_ = std::make_unique<Loop>();
    return *middle_;
  }

  /// Both ends open a leg to a third and are joined there.
  void join() {
    middle().call([this] {
      relay_ = std::make_unique<relay::Relay>(
          middle(), std::chrono::seconds(10),
          [](const security::Credential&, const relay::Join&) { return Status(); });
    });
    std::unique_ptr<tcp::Listener> listener;
    if (!network_) {
      listener = tcp::Listener::listen(*middle_, "127.0.0.1", 0, [this](std::unique_ptr<Link> l) {
                   accept_leg(std::move(l));
                 }).value();
    }
    open_leg("a", left_.get(), listener.get(), identities.node_local(),
             {7, identities.scheduler->noise_key(), 3}, keep(a));
    open_leg("b", right_.get(), listener.get(), identities.scheduler_local(),
             {7, identities.node->noise_key(), 3}, keep(b));
    ASSERT_TRUE(wait([this] { return a && b; }));
  }

  void accept_leg(std::unique_ptr<Link> plain) {
    secure::accept(std::move(plain), identities.relay_local(), kNoDeadline,
                   [this](Result<std::unique_ptr<secure::SecureLink>> leg) {
                     ASSERT_TRUE(leg.ok()) << leg.error().text();
                     const security::Credential who = (*leg)->peer();
                     relay_->add(std::move(*leg), who);
                   });
  }

  void open_leg(const std::string& host, Loop* loop, const tcp::Listener* listener,
                const secure::Local& local, const relay::Join& join, const relay::Joined& joined) {
    const auto ask = [join, joined](Result<std::unique_ptr<secure::SecureLink>> leg) {
      ASSERT_TRUE(leg.ok()) << leg.error().text();
      relay::join(std::move(*leg), join, {"far", "hub"}, kNoDeadline, joined);
    };
    const auto prove = [this, local, ask](std::unique_ptr<Link> plain) {
      const secure::ExpectedPeer hub{identities.between->noise_key(), security::Role::kNode};
      secure::connect(std::move(plain), local, hub, {.purpose = secure::Purpose::kRelay},
                      kNoDeadline, ask);
    };
    if (network_) {
      auto ends = network_->connect(host, "hub", line_);
      accept_leg(std::move(ends.second));
      return prove(std::move(ends.first));
    }
    tcp::dial(*loop, "127.0.0.1", listener->port(), now() + std::chrono::seconds(10),
              [prove](Result<std::unique_ptr<Link>> link) {
                ASSERT_TRUE(link.ok()) << link.error().text();
                prove(std::move(link).value());
              });
  }

  void connect_ucx(const std::string& name) {
    connect_tcp();
    std::unique_ptr<Link> dialled = std::move(a), accepted = std::move(b);
    const Deadline deadline = now() + std::chrono::seconds(10);
    ucx::join(*right_, ucx_context(name), std::move(accepted), deadline, keep(b));
    ucx::join(*left_, ucx_context(name), std::move(dialled), deadline, keep(a));
    ASSERT_TRUE(wait([this] { return a && b; }));
  }

  void seal() {
    std::unique_ptr<Link> dialled = std::move(a), accepted = std::move(b);
    const auto keep = [this](std::unique_ptr<Link>& to) {
      return [this, &to](Result<std::unique_ptr<secure::SecureLink>> link) {
        ASSERT_TRUE(link.ok()) << link.error().text();
        meeting.change([&] { to = std::move(link).value(); });
      };
    };
    secure::accept(std::move(accepted), identities.scheduler_local(), kNoDeadline, keep(b));
    secure::connect(std::move(dialled), identities.node_local(), identities.expected(),
                    {.stream = 3, .streams = 4}, kNoDeadline, keep(a));
    ASSERT_TRUE(wait([this] { return a && b; }));
  }

  std::unique_ptr<sim::SimNetwork> network_;
  std::unique_ptr<Loop> left_, middle_, right_;
  std::unique_ptr<relay::Relay> relay_;
  sim::Line line_;

 public:
  std::unique_ptr<Link> a, b;  ///< dialled, accepted
};

inline Bytes pattern(std::size_t size, std::size_t seed) {
  Bytes bytes(size);
  for (std::size_t i = 0; i < size; ++i) bytes[i] = static_cast<std::byte>(seed * 31 + i * 7);
  return bytes;
}

}  // namespace reef::link
