#include "runtime/base/reach.h"

#include "runtime/base/utf8.h"

namespace reef {

std::string_view reach_name(Reach reach) {
  switch (reach) {
    case Reach::kNowhere:
      return "nowhere";
    case Reach::kDatacenter:
      return "datacenter";
    case Reach::kAnywhere:
      return "anywhere";
  }
  return "unknown";
}

Result<Reach> parse_reach(std::string_view word) {
  for (const Reach reach : {Reach::kNowhere, Reach::kDatacenter, Reach::kAnywhere}) {
    if (reach_name(reach) == word) return reach;
  }
  return Error{Code::kUsage, "dialable",
               "'" + printable(std::string(word)) + "' is not nowhere, datacenter or anywhere"};
}

}  // namespace reef
