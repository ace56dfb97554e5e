#include "tests/cluster/wan/control.h"

#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>

namespace reef::wan {
namespace {

constexpr std::size_t kMostCommand = 1024;
constexpr std::size_t kMostSources = 8;

/// Whether poll() said anything about the descriptor.
bool is_ready(const std::vector<pollfd>& polled, int fd) {
  for (const pollfd& entry : polled) {
    if (entry.fd == fd) return entry.revents != 0;
  }
  return false;
}

Error failed(const std::string& path, const char* what) {
  return Error{Code::kPath, path, std::string(what) + ": " + std::strerror(errno)};
}

}  // namespace

Result<std::unique_ptr<Control>> Control::open(bool with_input, const std::string& path,
                                               Answer answer) {
  std::unique_ptr<Control> control(new Control(std::move(answer)));
  if (with_input) control->sources_.push_back({STDIN_FILENO, STDOUT_FILENO, ""});
  if (path.empty()) return control;
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof address.sun_path) {
    return Error{Code::kPath, path, "is too long for a socket; the limit is 107 bytes"};
  }
  std::memcpy(address.sun_path, path.c_str(), path.size() + 1);
  control->listener_ = ::socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (control->listener_ < 0) return failed(path, "no socket");
  if (::bind(control->listener_, reinterpret_cast<const sockaddr*>(&address), sizeof address) !=
      0) {
    return failed(path, "cannot be made");
  }
  control->path_ = path;
  if (::listen(control->listener_, kMostSources) != 0) return failed(path, "cannot be listened on");
  return control;
}

Control::~Control() {
  for (const Source& source : sources_) {
    if (source.in != STDIN_FILENO) ::close(source.in);
  }
  if (listener_ >= 0) ::close(listener_);
  if (!path_.empty()) ::unlink(path_.c_str());
}

void Control::add_to(std::vector<pollfd>& polled) const {
  if (listener_ >= 0) polled.push_back({listener_, POLLIN, 0});
  for (const Source& source : sources_) polled.push_back({source.in, POLLIN, 0});
}

bool Control::serve(const std::vector<pollfd>& polled) {
  for (std::size_t i = 0; i < sources_.size();) {
    Source& source = sources_[i];
    if (!is_ready(polled, source.in) || read_from(source)) {
      ++i;
      continue;
    }
    if (source.in == STDIN_FILENO) return false;
    ::close(source.in);
    sources_.erase(sources_.begin() + static_cast<std::ptrdiff_t>(i));
  }
  if (listener_ >= 0 && is_ready(polled, listener_)) accept_one();
  return true;
}

void Control::accept_one() {
  const int fd = ::accept4(listener_, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
  if (fd < 0) return;
  if (sources_.size() < kMostSources) {
    sources_.push_back({fd, fd, ""});
  } else {
    ::close(fd);
  }
}

bool Control::read_from(Source& source) {
  std::array<char, kMostCommand> buffer;
  const ssize_t n = ::read(source.in, buffer.data(), buffer.size());
  if (n < 0) return errno == EAGAIN || errno == EINTR;
  if (n == 0) return false;
  source.text.append(buffer.data(), static_cast<std::size_t>(n));
  std::size_t begin = 0;
  for (std::size_t end; (end = source.text.find('\n', begin)) != std::string::npos;
       begin = end + 1) {
    if (!answer_to(source, std::string_view(source.text).substr(begin, end - begin))) return false;
  }
  source.text.erase(0, begin);
  return source.text.size() <= kMostCommand;
}

bool Control::answer_to(const Source& source, std::string_view command) {
  const std::string answer = answer_(command) + "\n";
  if (source.in == STDIN_FILENO) {
    return ::write(source.out, answer.data(), answer.size()) == static_cast<ssize_t>(answer.size());
  }
  return ::send(source.out, answer.data(), answer.size(), MSG_NOSIGNAL | MSG_DONTWAIT) ==
         static_cast<ssize_t>(answer.size());
}

}  // namespace reef::wan
