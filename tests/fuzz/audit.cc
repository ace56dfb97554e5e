// An audit log and its head as somebody may have left them: lines of any form that are chained as
// they should be, events of any text, and an honest log changed.

#include "security/audit/verify.h"

#include "security/crypto/text.h"
#include "tests/fuzz/cluster.h"

using namespace reef;
using security::AuditHead;

namespace {

const security::NodeKey& key() { return *fuzz::Cluster::get().scheduler; }

Result<AuditHead> verify(std::string_view log, std::string_view head) {
  const auto path = fuzz::put("audit.log", as_bytes(log));
  fuzz::put("audit.log.head", as_bytes(head));
  return security::verify_audit_log(path, key().identity_key());
}

std::string written(const security::AuditLine& line) {
  std::string text = std::to_string(line.number);
  for (const std::string& field : {line.time, line.event.kind, line.event.subject,
                                   line.event.detail, security::to_hex(line.previous)})
    text += "\t" + field;
  return text + "\n";
}

/// Whether a walk says what verify() says, and every line was one of ours.
void check(std::string_view log, const std::string& head) {
  const auto verified = verify(log, head);
  if (!verified.ok())
    fuzz::check_refusal(verified.error(), {Code::kData, Code::kPath, Code::kRefused});
  const auto scan = security::scan_audit_log(fuzz::folder() / "audit.log", {});
  if (!scan.ok()) {
    CHECK(!verified.ok());
    return fuzz::check_refusal(scan.error(), {Code::kData});
  }
  CHECK_EQ(scan->size + scan->torn, log.size());
  if (verified.ok()) CHECK(*verified == scan->end && scan->torn == 0);
  std::uint64_t lines = 0;
  std::string_view rest = log.substr(0, scan->size);
  for (; !rest.empty(); ++lines) {
    const std::string_view line = rest.substr(0, rest.find('\n') + 1);
    CHECK_EQ(written(security::parse_audit_line(line).value()), line);
    rest.remove_prefix(line.size());
  }
  CHECK_EQ(lines, scan->end.lines);
}

/// Puts the hash that belongs there in the place of each `@`, and signs where that ends.
void chained(std::string_view text) {
  AuditHead head;
  std::string log;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find('\n'), text.size() - 1) + 1;
    const std::string line = fuzz::replaced(text.substr(0, end), "@", security::to_hex(head.last));
    head = {head.lines + 1, security::audit_hash(line)};
    log += line;
    text.remove_prefix(end);
  }
  check(log, security::sign_audit_head(head, key()));
}

void honest(fuzz::Input& input) {
  AuditHead end;
  std::string log;
  const std::size_t events = input.below(4);
  for (std::size_t i = 0; i < events; ++i) {
    const std::uint64_t time = input.number<std::uint32_t>();
    const security::AuditEvent event{"enrolled", std::string(as_text(input.piece())),
                                     std::string(as_text(input.piece()))};
    const std::string line = security::encode_audit_line(end.lines + 1, time, event, end.last);
    CHECK_LE(line.size(), security::kMaxAuditLine);
    end = {end.lines + 1, security::audit_hash(line)};
    log += line;
  }
  const std::string head = security::sign_audit_head(end, key());
  CHECK(verify(log, head).value() == end);
  const bool of_head = input.below(2) != 0;
  const Bytes changed = fuzz::mutated(as_bytes(of_head ? head : log), input);
  const std::string text(as_text(changed));
  const auto forged = of_head ? verify(log, text) : verify(text, head);
  CHECK_EQ(forged.ok(), text == (of_head ? head : log)) << "a forged audit log";
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  fuzz::Input input(data, size);
  const std::size_t form = input.below(3);
  if (form == 0) {
    const std::string head(as_text(input.piece()));
    check(as_text(input.rest()), head);
  }
  if (form == 1) chained(as_text(input.rest()));
  if (form == 2) honest(input);
  return 0;
}
