#include <linux/tcp.h>  // tcp_info with its newer half, which <netinet/tcp.h> lacks
#include <netinet/in.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

#include "runtime/link/state.h"
#include "runtime/link/tcp/tcp.h"

namespace reef::link::tcp {
namespace {

constexpr std::size_t kPrefix = 2;          // u16be length
constexpr std::size_t kSmallBuffer = 4096;  // for a peer that is not authenticated yet
constexpr std::size_t kLargeBuffer = 256 * 1024;
constexpr std::size_t kBatch = 64;     // frames per sendmsg
constexpr std::uint32_t kDelayed = 2;  // packets that a peer may wait for before it acknowledges
constexpr int kReadsPerEvent = 1;      // then other descriptors get their turn
// What waits in the kernel, the rest in lanes: what a line sends in this time, at most one record.
constexpr std::chrono::milliseconds kUnsentTime{40};
constexpr int kLeastUnsent = 16 * 1024;
constexpr int kMostUnsent = 64 * 1024;
constexpr std::chrono::milliseconds kUnsentEvery{100};  // how often it is set anew
constexpr std::size_t kTrickle = 16 * 1024;  // what a read brings where the line is slow, at most
constexpr std::chrono::seconds kLinger{1};

/// A socket whose owner has closed it. Closing with unread bytes would send a reset, which destroys
/// what the peer has not read yet (our farewell among it); so: half-close, read to the end, close.
class Linger {
 public:
  static void begin(Loop& loop, int fd, Gate::Pass pass) {
    ::shutdown(fd, SHUT_WR);
    const auto linger = std::make_shared<Linger>(loop, fd, std::move(pass));
    loop.watch(fd, EPOLLIN, [linger](std::uint32_t) { linger->read(); });
    linger->timer_ = loop.at(loop.clock().now() + kLinger, [linger] { linger->end(); });
  }
  Linger(Loop& loop, int fd, Gate::Pass pass) : loop_(loop), fd_(fd), pass_(std::move(pass)) {}
  ~Linger() { ::close(fd_); }

 private:
  void read() {
    std::array<std::byte, 4096> sink;
    const ssize_t n = ::recv(fd_, sink.data(), sink.size(), 0);
    if (n > 0 || (n < 0 && (errno == EAGAIN || errno == EINTR))) return;
    end();
  }
  void end() {
    loop_.unwatch(fd_);
    loop_.cancel(timer_);
  }

  Loop& loop_;
  int fd_;
  Gate::Pass pass_;  ///< a stranger's descriptor counts to its end
  TimerId timer_ = 0;
};

void limit_unsent(int fd, int bytes) {
  ::setsockopt(fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT, &bytes, sizeof bytes);
}

class Connection final : public LinkState {
 public:
  Connection(Loop& loop, int fd, std::string peer_name, Gate::Pass pass)
      : LinkState(loop, std::move(peer_name)),
        loop_(loop),
        fd_(fd),
        pass_(std::move(pass)),
        buffer_(kSmallBuffer) {}
  ~Connection() override {
    if (fd_ >= 0) ::close(fd_);
  }

  void watch() {
    const auto weak = std::weak_ptr(std::static_pointer_cast<Connection>(shared_from_this()));
    loop_.watch(fd_, 0, [weak](std::uint32_t events) {
      if (const auto self = weak.lock()) self->ready(events);
    });
  }
  void set_frame_limit(std::size_t bytes) override {
    limit_ = bytes;
    if (limit_ == kMaxFrame) pass_.reset();
  }
  TransportStats transport_stats() const override {
    tcp_info info{};
    socklen_t size = sizeof info;
    if (fd_ < 0 || ::getsockopt(fd_, IPPROTO_TCP, TCP_INFO, &info, &size) != 0) return {};
    using std::chrono::microseconds;
    return {.packets = info.tcpi_data_segs_out,
            .retransmitted = info.tcpi_total_retrans,
            .acknowledged_bytes = info.tcpi_bytes_acked,
            .busy = microseconds(info.tcpi_busy_time),
            .sending = info.tcpi_unacked > kDelayed,
            .burst_rate = 8 * static_cast<double>(info.tcpi_delivery_rate),
            .round_trip = microseconds(info.tcpi_rtt)};
  }

 private:
  void ready(std::uint32_t events) {
    if ((events & EPOLLOUT) != 0) flush();
    if (failed()) return;
    if ((events & EPOLLIN) != 0 && delivering()) return resume();
    if ((events & (EPOLLERR | EPOLLHUP)) != 0) lost(socket_error());
  }

  void flush() override {
    const auto self = shared_from_this();
    blocked_ = false;
    while (!failed() && !queue_.empty()) {
      std::array<std::array<std::byte, kPrefix>, kBatch> prefixes;
      std::array<iovec, 2 * kBatch> pieces;
      std::size_t count = 0;
      const std::size_t frames = std::min(kBatch, queue_.size());
      std::size_t skip = sent_of_front_;
      const auto add = [&](std::byte* data, std::size_t size) {
        const std::size_t skipped = std::min(skip, size);
        skip -= skipped;
        if (size > skipped) pieces[count++] = {data + skipped, size - skipped};
      };
      for (std::size_t i = 0; i < frames; ++i) {
        Bytes& frame = queue_[i].frame;
        prefixes[i] = {static_cast<std::byte>(frame.size() >> 8),
                       static_cast<std::byte>(frame.size())};
        add(prefixes[i].data(), kPrefix);
        add(frame.data(), frame.size());
      }
      msghdr message{};
      message.msg_iov = pieces.data();
      message.msg_iovlen = count;
      const ssize_t n = ::sendmsg(fd_, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
      if (n < 0 && errno == EINTR) continue;
      if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) {
        blocked_ = true;
        fit_unsent();
        break;
      }
      if (n < 0) return lost(errno);
      sent_of_front_ += static_cast<std::size_t>(n);
      while (!failed() && !queue_.empty() && sent_of_front_ >= kPrefix + queue_.front().size) {
        sent_of_front_ -= kPrefix + queue_.front().size;
        complete_front();
      }
    }
    if (!failed()) update_events();
  }

  /// Bytes that wait in the kernel of a slow line hold up the message that they are of, while other
  /// lines of the same channel have nothing left to send.
  void fit_unsent() {
    const Time now = loop_.clock().now();
    if (now < next_fit_) return;
    next_fit_ = now + kUnsentEvery;
    const double waiting = transport_stats().burst_rate / 8 * seconds(kUnsentTime);
    if (waiting > 0) {
      limit_unsent(fd_, static_cast<int>(std::clamp<double>(waiting, kLeastUnsent, kMostUnsent)));
    }
  }

  void resume() override {
    const auto self = shared_from_this();
    std::size_t came = 0;
    for (int i = 0; i < kReadsPerEvent && delivering(); ++i) {
      take_frames();
      if (!delivering()) break;
      make_room();
      const std::size_t room = buffer_.size() - end_;
      const ssize_t n = ::recv(fd_, buffer_.data() + end_, room, MSG_DONTWAIT);
      if (n < 0 && errno == EINTR) continue;
      if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) break;
      if (n < 0) return lost(errno);
      if (n == 0) return lost(0);
      came = static_cast<std::size_t>(n);
      end_ += came;
      take_frames();
      if (came < room) break;
    }
    if (failed()) return;
    wait_for_rest(came);
    update_events();
  }

  void take_frames() {
    while (delivering() && end_ - begin_ >= kPrefix) {
      const std::size_t size = next_size();
      if (size == 0 || size > limit_) {
        return fail({Code::kProto, peer_name(),
                     "a frame of " + std::to_string(size) + " bytes; limit 1 to " +
                         std::to_string(limit_)});
      }
      if (end_ - begin_ < kPrefix + size) return;
      const auto from = buffer_.begin() + static_cast<std::ptrdiff_t>(begin_ + kPrefix);
      Bytes frame(from, from + static_cast<std::ptrdiff_t>(size));
      begin_ += kPrefix + size;
      deliver(std::move(frame));
    }
  }

  /// Of the frame that begins in the buffer, whose prefix is there.
  std::size_t next_size() const {
    return std::to_integer<std::size_t>(buffer_[begin_]) << 8 |
           std::to_integer<std::size_t>(buffer_[begin_ + 1]);
  }

  /// Where frames come in packets, wakes us for the rest of one, rather than for each of them.
  void wait_for_rest(std::size_t came) {
    const std::size_t there = end_ - begin_;
    const bool begun = came < kTrickle && there >= kPrefix && there < kPrefix + next_size();
    const int missing = begun ? static_cast<int>(kPrefix + next_size() - there) : 1;
    if (missing == low_water_) return;
    low_water_ = missing;
    ::setsockopt(fd_, SOL_SOCKET, SO_RCVLOWAT, &missing, sizeof missing);
  }

  void make_room() {
    std::memmove(buffer_.data(), buffer_.data() + begin_, end_ - begin_);
    end_ -= begin_;
    begin_ = 0;
    if (limit_ + kPrefix > buffer_.size()) buffer_.resize(kLargeBuffer);
  }

  void update_events() {
    const std::uint32_t wanted =
        (delivering() ? std::uint32_t{EPOLLIN} : 0) | (blocked_ ? std::uint32_t{EPOLLOUT} : 0);
    if (wanted == events_) return;
    events_ = wanted;
    loop_.rewatch(fd_, wanted);
  }

  int socket_error() {
    int error = 0;
    socklen_t size = sizeof error;
    ::getsockopt(fd_, SOL_SOCKET, SO_ERROR, &error, &size);
    return error;
  }

  void lost(int error) {
    fail({Code::kPeerLost, peer_name(),
          error == 0 ? "the peer ended the connection" : std::strerror(error)});
  }

  void release() override {
    loop_.unwatch(fd_);
    const int fd = std::exchange(fd_, -1);
    buffer_ = {};
    begin_ = end_ = 0;
    if (error_->code == Code::kClosed) {
      Linger::begin(loop_, fd, std::move(pass_));
    } else {
      ::close(fd);
      pass_.reset();
    }
  }

  Loop& loop_;
  int fd_;
  Gate::Pass pass_;
  std::size_t limit_ = kMaxFrame;
  Bytes buffer_;
  std::size_t begin_ = 0, end_ = 0;  ///< what has arrived and not been delivered
  int low_water_ = 1;                ///< bytes that have us woken
  std::size_t sent_of_front_ = 0;
  bool blocked_ = false;
  Time next_fit_{};  ///< of what waits in the kernel
  std::uint32_t events_ = 0;
};

}  // namespace

std::unique_ptr<Link> adopt(Loop& loop, int fd, std::string peer_name, Gate::Pass pass) {
  const int one = 1;
  ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
  limit_unsent(fd, kMostUnsent);
  const auto connection =
      std::make_shared<Connection>(loop, fd, std::move(peer_name), std::move(pass));
  loop.call([connection] { connection->watch(); });
  return make_handle(connection);
}

}  // namespace reef::link::tcp
