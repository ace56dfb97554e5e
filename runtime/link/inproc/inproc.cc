#include "runtime/link/inproc/inproc.h"

#include <mutex>

#include "runtime/link/state.h"

namespace reef::link::inproc {
namespace {

/// The way to an end's executor until that end is over: the executor may be gone soon after, while
/// the other end still has something to say.
class Door {
 public:
  explicit Door(Executor& executor) : executor_(&executor) {}
  void post(Task task) {
    const std::lock_guard lock(mutex_);
    if (executor_ != nullptr) executor_->post(std::move(task));
  }
  void shut() {
    const std::lock_guard lock(mutex_);
    executor_ = nullptr;
  }

 private:
  std::mutex mutex_;
  Executor* executor_;
};

class End final : public QueuedState {
 public:
  explicit End(Executor& executor) : QueuedState(executor, "inproc"), door_(executor) {}
  void join(const std::shared_ptr<End>& peer) { peer_ = peer; }

 private:
  void flush() override {
    for (; moved_ < queue_.size(); ++moved_) {
      peer_->door_.post([peer = peer_, frame = std::move(queue_[moved_].frame)]() mutable {
        peer->arrived(std::move(frame));
      });
    }
  }

  void taken(std::size_t) override {
    peer_->door_.post([peer = peer_] { peer->acknowledged(); });
  }

  void acknowledged() {
    if (failed()) return;
    --moved_;
    complete_front();
  }

  void release() override {
    incoming_.clear();
    door_.shut();
    // Breaks the circle of the two ends; nothing uses peer_ once failed().
    const std::shared_ptr<End> peer = std::exchange(peer_, nullptr);
    peer->door_.post([peer] { peer->ended(); });
  }

  Door door_;
  std::shared_ptr<End> peer_;
  std::size_t moved_ = 0;  ///< frames of queue_ that are on their way
};

}  // namespace

std::pair<std::unique_ptr<Link>, std::unique_ptr<Link>> pair(Executor& left, Executor& right) {
  const auto a = std::make_shared<End>(left);
  const auto b = std::make_shared<End>(right);
  a->join(b);
  b->join(a);
  return {make_handle(a), make_handle(b)};
}

}  // namespace reef::link::inproc
