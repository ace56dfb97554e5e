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
#include "runtime/link/secure/secure_link.h"
#include "runtime/link/sim/sim.h"
#include "runtime/link/tcp/tcp.h"

namespace reef::link {

/// A cluster of one authority, a scheduler (who accepts) and a node (who dials).
struct Identities {
  security::Authority authority = security::Authority::generate();
  std::shared_ptr<const security::NodeKey> scheduler =
      std::make_shared<security::NodeKey>(security::NodeKey::generate());
  std::shared_ptr<const security::NodeKey> node =
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

/// Implementations by name: "inproc", "tcp", "sim", each also as "secure_...".
class Rig {
 public:
  explicit Rig(const std::string& name) {
    const bool sealed = name.starts_with("secure_");
    const std::string plain = sealed ? name.substr(7) : name;
    if (plain == "sim") {
      network_ = std::make_unique<sim::SimNetwork>(1);
      sim::Line line;
      line.jitter = std::chrono::milliseconds(2);
      line.loss = 0.01;
      line.window = 1 << 20;
      std::tie(a, b) = network_->connect("a", "b", line);
    } else {
      left_ = std::make_unique<Loop>();
      right_ = std::make_unique<Loop>();
      if (plain == "inproc") std::tie(a, b) = inproc::pair(*left_, *right_);
      if (plain == "tcp") connect_tcp();
    }
    if (sealed) seal();
  }
  ~Rig() {
    a.reset();
    b.reset();
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
  std::unique_ptr<Loop> left_, right_;

 public:
  std::unique_ptr<Link> a, b;  ///< dialled, accepted
};

inline Bytes pattern(std::size_t size, std::size_t seed) {
  Bytes bytes(size);
  for (std::size_t i = 0; i < size; ++i) bytes[i] = static_cast<std::byte>(seed * 31 + i * 7);
  return bytes;
}

}  // namespace reef::link
