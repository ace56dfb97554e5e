#include "collectives/local/segment.h"

#include <fcntl.h>
#include <linux/futex.h>
#include <poll.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <climits>
#include <cstring>
#include <thread>

#include "runtime/base/check.h"

namespace reef::collectives {
namespace {

static_assert(std::atomic<std::uint32_t>::is_always_lock_free, "processes share them");

constexpr std::uint64_t kMagic = 0x316d68736c6c7461;  // "atllshm1"
/// A member that has died is looked for this often while somebody waits.
constexpr Duration kLookEvery = std::chrono::milliseconds(20);
constexpr Duration kKnockEvery = std::chrono::milliseconds(1);
/// Looks at a counter before the system is asked to wait; who is about to write needs less.
constexpr int kGlances = 200;

/// In front of the seats. Zero until rank 0 has made all of it.
struct Front {
  std::atomic<std::uint64_t> magic;
  std::uint64_t world;
  std::uint64_t chunk_bytes;
};

constexpr std::size_t kFront = 4096;
std::size_t rounded(std::size_t size) { return (size + 4095) / 4096 * 4096; }
std::size_t seats_size(Rank world) { return rounded(world * sizeof(Seat)); }
std::size_t segment_size(const SharedMemoryOptions& options) {
  return kFront + seats_size(options.world) +
         std::size_t{options.world} * Segment::kSlots * options.world * options.chunk_bytes;
}

long futex(std::atomic<std::uint32_t>& word, int operation, std::uint32_t value,
           const timespec* timeout) {
  return ::syscall(SYS_futex, reinterpret_cast<std::uint32_t*>(&word), operation, value, timeout,
                   nullptr, 0);
}

Error path_error(const std::string& path, const std::string& what) {
  return {Code::kPath, path, what};
}

/// Closes a descriptor.
class File {
 public:
  explicit File(int fd) : fd_(fd) {}
  ~File() {
    if (fd_ >= 0) ::close(fd_);
  }
  int get() const { return fd_; }

 private:
  int fd_;
};

Result<std::byte*> map(int fd, std::size_t size, const std::string& path) {
  void* const base = ::mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  if (base == MAP_FAILED)
    return path_error(path, std::string("cannot be mapped: ") + std::strerror(errno));
  return static_cast<std::byte*>(base);
}

Result<std::byte*> make(const SharedMemoryOptions& options, std::size_t size) {
  const File file(::open(options.path.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
  if (file.get() < 0)
    return path_error(options.path,
                      std::string("cannot be made: ") + std::strerror(errno) +
                          "; a group needs a new file in a folder that can be written");
  // Allocated now: memory that is missing is an error here, not a signal later.
  if (const int failed = ::posix_fallocate(file.get(), 0, static_cast<off_t>(size)); failed != 0) {
    ::unlink(options.path.c_str());
    return path_error(options.path, "there is no room for " + std::to_string(size) +
                                        " bytes: " + std::strerror(failed) +
                                        "; take smaller chunks or a larger /dev/shm");
  }
  ATOLL_ASSIGN(std::byte* const base, map(file.get(), size, options.path));
  auto* const front = reinterpret_cast<Front*>(base);
  front->world = options.world;
  front->chunk_bytes = options.chunk_bytes;
  front->magic.store(kMagic, std::memory_order_release);
  return base;
}

/// Null while rank 0 has not made it.
Result<std::byte*> look(const SharedMemoryOptions& options, std::size_t size) {
  const File file(::open(options.path.c_str(), O_RDWR | O_CLOEXEC | O_NOFOLLOW));
  struct stat info {};
  if (file.get() < 0 && errno == ENOENT) return static_cast<std::byte*>(nullptr);
  if (file.get() < 0 || ::fstat(file.get(), &info) != 0)
    return path_error(options.path, std::string("cannot be opened: ") + std::strerror(errno));
  if (!S_ISREG(info.st_mode) || info.st_uid != ::geteuid() || (info.st_mode & 077) != 0)
    return path_error(options.path, "is not a file that only we can open");
  if (static_cast<std::size_t>(info.st_size) < kFront) return static_cast<std::byte*>(nullptr);
  ATOLL_ASSIGN(std::byte* const base, map(file.get(), size, options.path));
  const auto* const front = reinterpret_cast<const Front*>(base);
  const bool made = front->magic.load(std::memory_order_acquire) == kMagic;
  const bool ours = front->world == options.world && front->chunk_bytes == options.chunk_bytes;
  if (made && ours) return base;
  ::munmap(base, size);
  if (!made) return static_cast<std::byte*>(nullptr);
  return path_error(options.path, "was made for a group of another size");
}

}  // namespace

void Counter::advance() {
  value_.fetch_add(1, std::memory_order_seq_cst);
  if (waiting_.load(std::memory_order_seq_cst) > 0) futex(value_, FUTEX_WAKE, INT_MAX, nullptr);
}

bool Counter::wait_for(std::uint32_t least, Duration patience) {
  for (int i = 0; i < kGlances; ++i) {
    if (reached(least)) return true;
  }
  waiting_.fetch_add(1, std::memory_order_seq_cst);
  const std::uint32_t seen = value_.load(std::memory_order_seq_cst);
  if (static_cast<std::int32_t>(seen - least) < 0) {
    const auto ns = std::chrono::nanoseconds(patience).count();
    const timespec timeout{ns / 1'000'000'000, ns % 1'000'000'000};
    futex(value_, FUTEX_WAIT, seen, &timeout);
  }
  waiting_.fetch_sub(1, std::memory_order_seq_cst);
  return reached(least);
}

Result<std::unique_ptr<Segment>> Segment::open(const SharedMemoryOptions& options,
                                               Deadline deadline) {
  CHECK(options.rank < options.world && options.chunk_bytes % 64 == 0 && options.chunk_bytes > 0);
  const std::size_t size = segment_size(options);
  std::byte* base = nullptr;
  if (options.rank == 0) {
    ATOLL_ASSIGN(base, make(options, size));
  }
  while (base == nullptr) {
    ATOLL_ASSIGN(base, look(options, size));
    if (base != nullptr) break;
    if (system_clock().now() >= deadline)
      return Error{Code::kTimedOut, "rank 0", "has not made " + options.path};
    std::this_thread::sleep_for(kKnockEvery);
  }
  std::unique_ptr<Segment> segment(new Segment(options, base, size));
  const Status met = segment->meet(options, deadline);
  if (options.rank == 0) ::unlink(options.path.c_str());
  if (!met.ok()) return met.error();
  return segment;
}

Segment::Segment(const SharedMemoryOptions& options, std::byte* base, std::size_t size)
    : rank_(options.rank),
      world_(options.world),
      chunk_bytes_(options.chunk_bytes),
      base_(base),
      size_(size),
      seats_(reinterpret_cast<Seat*>(base + kFront)),
      data_(base + kFront + seats_size(options.world)),
      processes_(options.world, -1) {}

Segment::~Segment() {
  for (const int process : processes_) {
    if (process >= 0) ::close(process);
  }
  ::munmap(base_, size_);
}

/// Waits for all, and gets hold of their processes.
Status Segment::meet(const SharedMemoryOptions& options, Deadline deadline) {
  seats_[options.rank].process.store(::getpid());
  for (Rank rank = 0; rank < world_; ++rank) {
    std::int32_t process = 0;
    while ((process = seats_[rank].process.load()) == 0) {
      if (system_clock().now() >= deadline)
        return Error{Code::kTimedOut, "rank " + std::to_string(rank), "has not come"};
      std::this_thread::sleep_for(kKnockEvery);
    }
    if (rank == options.rank) continue;
    processes_[rank] = static_cast<int>(::syscall(SYS_pidfd_open, process, 0));
    if (processes_[rank] < 0)
      return Error{Code::kPeerLost, "rank " + std::to_string(rank), "is gone already"};
  }
  // Rank 0 takes the file's name away once it knows that nobody looks for it any more.
  return {};
}

bool Segment::gone(Rank rank) const {
  pollfd end{processes_[rank], POLLIN, 0};
  return processes_[rank] >= 0 && ::poll(&end, 1, 0) > 0;
}

Error Segment::miss(Rank rank, bool dead) {
  seats_[rank_].missed_is_dead.store(dead);
  seats_[rank_].missed.store(rank + 1);
  const std::string name = "rank " + std::to_string(rank);
  if (dead) return {Code::kPeerLost, name, "has ended"};
  return {Code::kTimedOut, name, "has not done its part by the deadline"};
}

Status Segment::wait(Rank rank, Counter Seat::*counter, std::uint32_t least, Deadline deadline) {
  Seat& seat = seats_[rank];
  while (!(seat.*counter).wait_for(least, kLookEvery)) {
    // What it did before it ended counts: who is done may go.
    const bool dead = gone(rank);
    if (dead && !(seat.*counter).wait_for(least, Duration())) return miss(rank, true);
    if (const std::uint32_t missed = seat.missed.load(); missed != 0)
      return miss(missed - 1, seat.missed_is_dead.load());
    if (system_clock().now() >= deadline) return miss(rank, false);
  }
  return {};
}

}  // namespace reef::collectives
