#pragma once
// The other process of a measurement that needs two.

#include <sys/types.h>

#include <cstdint>
#include <functional>

namespace reef::app {

/// Forks, so it comes before this process has threads. The other process runs `serve` and ends when
/// this object does.
class FarEnd {
 public:
  /// `serve` tells its port, zero for a failure, then returns from `wait` at the end.
  using Serve = std::function<void(const std::function<void(std::uint16_t port)>& tell,
                                   const std::function<void()>& wait)>;
  explicit FarEnd(const Serve& serve);
  ~FarEnd();
  FarEnd(const FarEnd&) = delete;
  FarEnd& operator=(const FarEnd&) = delete;

  /// Zero when it did not come up.
  std::uint16_t port() const { return port_; }

 private:
  pid_t process_ = -1;
  int life_ = -1;
  std::uint16_t port_ = 0;
};

}  // namespace reef::app
