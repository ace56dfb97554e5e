// The stream of a TCP connection, cut into frames.

#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <latch>
#include <optional>
#include <vector>

#include "runtime/link/loop.h"
#include "runtime/link/tcp/tcp.h"
#include "tests/fuzz/fuzz.h"

using namespace reef;

namespace {

/// What a local socket holds at once.
constexpr std::size_t kLongestInput = 4096;
constexpr std::size_t kMostPieces = 16;

/// What one recv() gives at most. All of a stream lies in the socket before the loop looks at it,
/// so that no input waits for two threads to take turns.
std::atomic<std::size_t> piece{0};

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

/// Hears the stream to its end. Made and destroyed on the loop.
class Listener {
 public:
  Listener(link::Loop& loop, int fd, std::size_t limit)
      : link_(link::tcp::adopt(loop, fd, "tcp peer")) {
    link_->set_frame_limit(limit);
    link_->start(
        [this](Bytes frame) {
          CHECK(!seen_.closed) << "a frame after the end";
          seen_.frames.push_back(std::move(frame));
        },
        [this](Error why) {
          CHECK(!seen_.closed) << "closed twice";
          seen_.closed = std::move(why);
          closed_.count_down();
        });
  }
  void wait() { closed_.wait(); }
  const Seen& seen() const { return seen_; }

 private:
  std::latch closed_{1};
  Seen seen_;
  std::unique_ptr<link::Link> link_;
};

}  // namespace

/// In place of recv() in the link (--wrap).
extern "C" ssize_t __wrap_recv(int fd, void* out, std::size_t room, int flags) {
  return ::recvfrom(fd, out, std::min<std::size_t>(room, piece), flags, nullptr, nullptr);
}

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static link::Loop loop;
  fuzz::Input input(data, std::min(size, kLongestInput));
  // Of a peer that may send large frames the link makes a large buffer, which costs most.
  const std::size_t limit = input.below(8) == 1 ? link::kMaxFrame : 1024;
  const std::size_t least_piece = input.number<std::uint16_t>();
  const BytesView stream = input.rest();
  // Cut anywhere, but not into so many pieces that all the time is the system's.
  piece = std::max(least_piece, stream.size() / kMostPieces + 1);
  int fds[2];
  CHECK_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
  std::optional<Listener> listener;
  loop.call([&] { listener.emplace(loop, fds[0], limit); });
  // By now delivery has begun: the end of a local socket, unlike TCP's, is an error at once and
  // overtakes what was sent before.
  loop.call([&] {
    CHECK_EQ(::write(fds[1], stream.data(), stream.size()), static_cast<ssize_t>(stream.size()));
    ::close(fds[1]);
  });
  listener->wait();
  loop.call([&] {
    const Seen& seen = listener->seen();
    const Seen right = expected(stream, limit);
    CHECK_EQ(seen.frames.size(), right.frames.size());
    for (std::size_t i = 0; i < right.frames.size(); ++i)
      CHECK(fuzz::same(seen.frames[i], right.frames[i]));
    CHECK(seen.closed->code == right.closed->code ||
          (right.closed->code == Code::kProto && seen.closed->code == Code::kPeerLost))
        << seen.closed->text();
    fuzz::check_refusal(*seen.closed, {Code::kProto, Code::kPeerLost});
    listener.reset();
  });
  return 0;
}
