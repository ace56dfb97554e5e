#include "tests/cluster/wan/tun.h"

#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/uio.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>

namespace reef::wan {
namespace {

// Since Linux 6.2; refused as a whole by older ones.
constexpr unsigned kUdpOffloads = 0x20 | 0x40;  // TUN_F_USO4 | TUN_F_USO6
constexpr unsigned kTcpOffloads = TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6 | TUN_F_TSO_ECN;

constexpr std::size_t kReadBytes = 128 * 1024;  // a super-packet has at most 64 KiB

Error failed(const std::string& where, const std::string& what) {
  return Error{Code::kUsage, where, what + ": " + std::strerror(errno)};
}

struct Descriptor {
  explicit Descriptor(int fd) : fd(fd) {}
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  ~Descriptor() {
    if (fd >= 0) ::close(fd);
  }
  int release() { return std::exchange(fd, -1); }
  int fd;
};

/// Opens a descriptor to the device in the namespace that the calling thread is in.
Result<int> open_here(const std::string& device) {
  Descriptor tun(::open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC));
  if (tun.fd < 0) return failed("/dev/net/tun", "cannot be opened");
  ifreq request{};
  request.ifr_flags = IFF_TUN | IFF_NO_PI | IFF_VNET_HDR;
  if (device.empty() || device.size() >= sizeof request.ifr_name) {
    return Error{Code::kUsage, device, "a device's name has 1 to 15 characters"};
  }
  std::memcpy(request.ifr_name, device.c_str(), device.size() + 1);
  if (::ioctl(tun.fd, TUNSETIFF, &request) != 0) return failed(device, "cannot be made");
  if (::ioctl(tun.fd, TUNSETOFFLOAD, kTcpOffloads | kUdpOffloads) != 0 &&
      ::ioctl(tun.fd, TUNSETOFFLOAD, kTcpOffloads) != 0) {
    return failed(device, "takes no segmentation offload");
  }
  return tun.release();
}

}  // namespace

Result<Tun> Tun::open(const std::string& netns, const std::string& device) {
  const Descriptor home(::open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC));
  if (home.fd < 0) return failed("/proc/self/ns/net", "cannot be opened");
  const std::string path = netns.find('/') == std::string::npos ? "/run/netns/" + netns : netns;
  const Descriptor there(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (there.fd < 0) return failed(path, "is no network namespace that can be opened");
  if (::setns(there.fd, CLONE_NEWNET) != 0) return failed(path, "cannot be entered");
  const auto fd = open_here(device);
  CHECK_EQ(::setns(home.fd, CLONE_NEWNET), 0) << "cannot return to the own namespace";
  if (!fd.ok()) return fd.error();
  return Tun(*fd);
}

Tun::~Tun() {
  if (fd_ >= 0) ::close(fd_);
}

std::optional<Received> Tun::read() {
  static std::array<std::byte, sizeof(Offload) + kReadBytes> buffer;
  ssize_t n;
  do {
    n = ::read(fd_, buffer.data(), buffer.size());
  } while (n < 0 && errno == EINTR);
  if (n <= static_cast<ssize_t>(sizeof(Offload))) return std::nullopt;
  Received received;
  std::memcpy(&received.offload, buffer.data(), sizeof received.offload);
  received.bytes = BytesView(buffer).subspan(sizeof received.offload, n - sizeof received.offload);
  return received;
}

bool Tun::write(const Piece& piece) {
  // Nothing is written through these pointers; iovec serves both directions.
  std::array<iovec, 3> parts;
  parts[0] = {const_cast<Offload*>(&piece.offload), sizeof piece.offload};
  std::size_t count = 1;
  for (const BytesView part : {piece.header_view(), piece.payload}) {
    if (!part.empty()) parts[count++] = {const_cast<std::byte*>(part.data()), part.size()};
  }
  ssize_t n;
  do {
    n = ::writev(fd_, parts.data(), static_cast<int>(count));
  } while (n < 0 && errno == EINTR);
  return n > 0;
}

}  // namespace reef::wan
