// The stream of a TCP connection, cut into frames.

#include <sys/socket.h>
#include <unistd.h>

#include <condition_variable>
#include <mutex>
#include <optional>
#include <vector>

#include "runtime/link/loop.h"
#include "runtime/link/tcp/tcp.h"
#include "tests/fuzz/fuzz.h"

using namespace reef;

namespace {

constexpr std::size_t kMostPieces = 16;

struct Seen {
  std::vector<Bytes> frames;
  std::optional<Error> closed;
};

/// What must be seen of a stream that then ends.
Seen expected(BytesView stream, std::size_t limit) {
  Seen seen;
  while (stream.size() >= 2) {
    const std::size_t size =
        std::to_integer<std::size_t>(stream[0]) << 8 | std::to_integer<std::size_t>(stream[1]);
    if (size == 0 || size > limit) {
      seen.closed = Error{Code::kProto, "", ""};
      return seen;
    }
    if (stream.size() < 2 + size) break;
    seen.frames.push_back(to_bytes(stream.subspan(2, size)));
    stream = stream.subspan(2 + size);
  }
  seen.closed = Error{Code::kPeerLost, "", ""};
  return seen;
}

class Listener {
 public:
  Listener(link::Loop& loop, int fd, std::size_t limit)
      : link_(link::tcp::adopt(loop, fd, "tcp peer")) {
    loop.call([this, limit] { link_->set_frame_limit(limit); });
    link_->start(
        [this](Bytes frame) {
          const std::lock_guard lock(mutex_);
          CHECK(!seen_.closed) << "a frame after the end";
          seen_.frames.push_back(std::move(frame));
        },
        [this](Error why) {
          {
            const std::lock_guard lock(mutex_);
            CHECK(!seen_.closed) << "closed twice";
            seen_.closed = std::move(why);
          }
          changed_.notify_all();
        });
    // The end of a local socket, unlike TCP's, is an error at once and overtakes what was sent
    // before delivery has begun.
    loop.call([] {});
  }
  const Seen& wait() {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [this] { return seen_.closed.has_value(); });
    return seen_;
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  Seen seen_;
  std::unique_ptr<link::Link> link_;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static link::Loop loop;
  fuzz::Input input(data, size);
  const std::size_t limit = input.below(2) == 0 ? 1024 : link::kMaxFrame;
  const std::size_t least_chunk = input.number<std::uint16_t>();
  const BytesView stream = input.rest();
  // Cut anywhere, but not into so many pieces that all the time is the system's.
  const std::size_t chunk = std::max(least_chunk, stream.size() / kMostPieces + 1);
  int fds[2];
  CHECK_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
  Listener listener(loop, fds[0], limit);
  for (std::size_t at = 0; at < stream.size(); at += chunk) {
    const BytesView piece = stream.subspan(at, std::min(chunk, stream.size() - at));
    // Waits while the far end has no room; that it may have closed is no business of the parser.
    (void)::send(fds[1], piece.data(), piece.size(), MSG_NOSIGNAL);
  }
  ::close(fds[1]);
  const Seen& seen = listener.wait();
  const Seen right = expected(stream, limit);
  CHECK(seen.frames == right.frames);
  CHECK(seen.closed->code == right.closed->code ||
        (right.closed->code == Code::kProto && seen.closed->code == Code::kPeerLost))
      << seen.closed->text();
  fuzz::check_refusal(*seen.closed, {Code::kProto, Code::kPeerLost});
  return 0;
}
