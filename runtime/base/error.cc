#include "runtime/base/error.h"

#include "runtime/base/utf8.h"

namespace reef {

std::string_view code_name(Code code) {
  switch (code) {
    case Code::kUsage:
      return "E_USAGE";
    case Code::kJobSyntax:
      return "E_JOB_SYNTAX";
    case Code::kJobField:
      return "E_JOB_FIELD";
    case Code::kJobValue:
      return "E_JOB_VALUE";
    case Code::kJobGraph:
      return "E_JOB_GRAPH";
    case Code::kNoFit:
      return "E_NO_FIT";
    case Code::kData:
      return "E_DATA";
    case Code::kCheckpoint:
      return "E_CKPT";
    case Code::kPath:
      return "E_PATH";
    case Code::kKeyPerm:
      return "E_KEY_PERM";
    case Code::kAddressInUse:
      return "E_ADDRESS_IN_USE";
    case Code::kTimedOut:
      return "E_TIMED_OUT";
    case Code::kClosed:
      return "E_CLOSED";
    case Code::kCancelled:
      return "E_CANCELLED";
    case Code::kDecompress:
      return "E_DECOMPRESS";
    case Code::kTensor:
      return "E_TENSOR";
    case Code::kPoison:
      return "E_POISON";
    case Code::kIo:
      return "E_IO";
    case Code::kPeerLost:
      return "E_PEER_LOST";
    case Code::kProto:
      return "E_PROTO";
    case Code::kRefused:
      return "E_REFUSED";
    case Code::kFenced:
      return "E_FENCED";
    case Code::kInternal:
      return "E_INTERNAL";
  }
  return "E_UNKNOWN";
}

int exit_status(Code code) {
  if (code <= Code::kAddressInUse) return 2;
  if (code == Code::kRefused) return 4;
  return 1;
}

Error parse_error(std::string_view line) {
  for (int i = 0; i <= static_cast<int>(Code::kInternal); ++i) {
    const std::string_view name = code_name(static_cast<Code>(i));
    if (!line.starts_with(name) || line.substr(name.size(), 2) != ": ") continue;
    return {static_cast<Code>(i), "", std::string(line.substr(name.size() + 2))};
  }
  return {Code::kInternal, "", std::string(line)};
}

std::string Error::text() const {
  std::string text(code_name(code));
  if (!where.empty()) text.append(": ").append(where);
  return one_line(text.append(": ").append(what));
}

}  // namespace reef
