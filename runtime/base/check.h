#pragma once
// CHECK is for our own bugs: it prints what was expected and ends the process.
// Nothing that a peer, a file or a user provides may trip one; that is what Error is for.

#include <sstream>

namespace reef {

/// Collects the message of a failed CHECK; its destructor prints it and aborts.
class CheckFailure {
 public:
  CheckFailure(const char* file, int line, const char* condition);
  [[noreturn]] ~CheckFailure();
  std::ostream& stream() { return text_; }

 private:
  std::ostringstream text_;
};

}  // namespace reef

// The loop form makes CHECK one statement to which a message can be streamed.
#define CHECK(condition) \
  while (!(condition)) ::reef::CheckFailure(__FILE__, __LINE__, #condition).stream()
#define CHECK_EQ(a, b) CHECK((a) == (b)) << (a) << " against " << (b) << ' '
#define CHECK_LE(a, b) CHECK((a) <= (b)) << (a) << " against " << (b) << ' '
#define CHECK_LT(a, b) CHECK((a) < (b)) << (a) << " against " << (b) << ' '
