#pragma once
// The one place that calls UCX: a worker with a single stream to a single peer, driven by a loop.

#include <array>
#include <functional>
#include <memory>
#include <optional>
#include <span>

#include "runtime/link/ucx/ucx.h"

namespace reef::link::ucx {

/// Why a worker for each link: a peer that died over shared memory leaves requests that never end,
/// and only the end of a worker takes them back. It also keeps apart what peers send.
/// Thread: the loop's, all of it. Order: one send at a time, so that the order does not depend on
/// UCX's. Failure: failure() tells; after it and after shut() nothing moves.
class Endpoint : public std::enable_shared_from_this<Endpoint> {
 public:
  static Result<std::shared_ptr<Endpoint>> open(Loop& loop, std::shared_ptr<Context> context);
  ~Endpoint();
  Endpoint(const Endpoint&) = delete;
  Endpoint& operator=(const Endpoint&) = delete;

  /// What the peer needs to reach this worker.
  Result<Bytes> address() const;
  /// `address` is believed: see ucx.h. `moved` runs whenever bytes have arrived, a send has left,
  /// or failure() has something to tell; it may call shut().
  Status connect(BytesView address, std::function<void()> moved);

  bool connected() const { return moved_ != nullptr; }

  static constexpr std::size_t kMostPieces = 40;
  /// Begins to send up to kMostPieces pieces, which stay where they are until sending() is over. It
  /// may be over at once.
  void send(std::span<const BytesView> pieces);
  bool sending() const { return sending_; }
  const std::optional<Error>& failure() const { return failure_; }

  /// A piece of what has arrived, or nothing. Valid until the next call.
  std::optional<BytesView> receive();
  /// Takes in what has arrived until now, whatever becomes of the peer.
  void pull();
  /// `moved` runs soon, though UCX has nothing to tell.
  void nudge();

  /// Takes everything back from UCX, pieces of a send included.
  void shut();

 private:
  struct Raw;
  Endpoint(Loop& loop, std::shared_ptr<Context> context);
  void release_piece();
  void drive_soon();
  void drive();
  bool rest();
  void fail(const char* doing, int status);

  Loop& loop_;
  std::shared_ptr<Context> context_;
  std::unique_ptr<Raw> raw_;
  std::function<void()> moved_;
  std::optional<Error> failure_;
  bool sending_ = false;
  bool nudged_ = false;
  bool driving_ = false;  ///< a task or timer for drive() is on its way
  Time last_move_{};
};

}  // namespace reef::link::ucx
