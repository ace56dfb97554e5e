#include "runtime/app/bench/far_end.h"

#include <sys/wait.h>
#include <unistd.h>

#include <array>

namespace reef::app {

FarEnd::FarEnd(const Serve& serve) {
  std::array<int, 2> port{}, life{};
  if (::pipe(port.data()) != 0 || ::pipe(life.data()) != 0) return;
  process_ = ::fork();
  if (process_ == 0) {
    ::close(life[1]);
    serve(
        [&port](std::uint16_t number) {
          if (::write(port[1], &number, sizeof number) != sizeof number) ::_exit(1);
        },
        [&life] {
          char end;
          while (::read(life[0], &end, 1) > 0) {
          }
        });
    ::_exit(0);
  }
  ::close(port[1]);
  ::close(life[0]);
  life_ = life[1];
  if (::read(port[0], &port_, sizeof port_) != sizeof port_) port_ = 0;
  ::close(port[0]);
}

FarEnd::~FarEnd() {
  ::close(life_);
  if (process_ > 0) ::waitpid(process_, nullptr, 0);
}

}  // namespace reef::app
