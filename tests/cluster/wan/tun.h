#pragma once
// A TUN device inside a network namespace: the end of the line that the kernel sees as a network
// interface.
//
// With segmentation offload: the kernel hands over and takes super-packets of up to 64 KiB, and
// leaves transport checksums open where both ends are this machine. That is what makes the emulator
// cheap.
//
// Thread: one. The device goes away with the object, and so with the process, however it ends.

#include <optional>
#include <string>
#include <utility>

#include "tests/cluster/wan/segments.h"

namespace reef::wan {

/// What one read gave; `bytes` is valid until the next read of any device.
struct Received {
  Offload offload;
  BytesView bytes;
};

class Tun {
 public:
  /// Makes `device` in the namespace that `ip netns` calls `netns` (or whose file it is, if it has
  /// a slash). The device is not brought up and has no address. kUsage: no such namespace, a name
  /// that cannot be, no permission.
  static Result<Tun> open(const std::string& netns, const std::string& device);
  Tun(Tun&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Tun& operator=(Tun&&) = delete;
  ~Tun();

  /// The next packet, or nothing when there is none. Never blocks.
  std::optional<Received> read();
  /// Hands the piece to the namespace's network stack, which works on it within this call. False:
  /// the kernel refused it, for instance because the device is down.
  bool write(const Piece& piece);
  int fd() const { return fd_; }

 private:
  explicit Tun(int fd) : fd_(fd) {}
  int fd_;
};

}  // namespace reef::wan
