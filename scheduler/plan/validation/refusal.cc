#include "scheduler/plan/validation/refusal.h"

#include "runtime/base/utf8.h"

namespace reef::plan {
namespace {

constexpr std::size_t kLongestName = 255;

}  // namespace

Error broken(const std::string& where, const std::string& what) {
  return Error{Code::kProto, "plan: " + printable(where), what};
}

bool good_name(const std::string& name) {
  return !name.empty() && name.size() <= kLongestName && first_bad_utf8(name) == name.size();
}

}  // namespace reef::plan
