#include "runtime/base/check.h"

#include <cstdio>
#include <cstdlib>

namespace reef {

CheckFailure::CheckFailure(const char* file, int line, const char* condition) {
  text_ << file << ':' << line << ": CHECK(" << condition << ") failed ";
}

CheckFailure::~CheckFailure() {
  std::fprintf(stderr, "%s\n", text_.str().c_str());
  std::abort();
}

}  // namespace reef
