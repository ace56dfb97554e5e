#include "security/audit/line.h"

#include <algorithm>
#include <ctime>
#include <vector>

#include "security/crypto/text.h"

namespace reef::security {
namespace {

constexpr std::string_view kDigits = "0123456789abcdef";
constexpr std::string_view kCut = "\\+";
constexpr std::size_t kEscapeSize = 4;  // \xNN
constexpr std::size_t kFields = 6;

bool plain(unsigned char c) { return c >= 0x20 && c < 0x7f && c != '\\'; }

std::string time_text(std::uint64_t unix_time) {
  const auto seconds = static_cast<std::time_t>(unix_time);
  std::tm utc{};
  ::gmtime_r(&seconds, &utc);
  char text[32];
  return std::string(text, std::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &utc));
}

bool is_time(std::string_view text) {
  constexpr std::string_view form = "0000-00-00T00:00:00Z";
  return std::equal(text.begin(), text.end(), form.begin(), form.end(),
                    [](char c, char f) { return f == '0' ? c >= '0' && c <= '9' : c == f; });
}

bool is_kind(std::string_view text) {
  return !text.empty() && text.size() <= kMaxAuditKind &&
         std::all_of(text.begin(), text.end(),
                     [](char c) { return (c >= 'a' && c <= 'z') || c == '-'; });
}

/// Whether escape() could have written it.
bool is_escaped(std::string_view text, std::size_t limit) {
  if (text.size() > limit) return false;
  while (!text.empty()) {
    if (plain(static_cast<unsigned char>(text[0]))) {
      text.remove_prefix(1);
      continue;
    }
    if (text == kCut) return true;
    if (text.size() < kEscapeSize || !text.starts_with("\\x")) return false;
    const auto high = kDigits.find(text[2]);
    const auto low = kDigits.find(text[3]);
    if (high == std::string_view::npos || low == std::string_view::npos) return false;
    if (plain(static_cast<unsigned char>(high << 4 | low))) return false;
    text.remove_prefix(kEscapeSize);
  }
  return true;
}

std::vector<std::string_view> split(std::string_view line) {
  std::vector<std::string_view> fields;
  while (fields.size() <= kFields) {
    const auto tab = line.find('\t');
    fields.push_back(line.substr(0, tab));
    if (tab == std::string_view::npos) break;
    line.remove_prefix(tab + 1);
  }
  return fields;
}

}  // namespace

Hash256 first_audit_hash() { return blake2b_256({as_bytes("atoll audit log 1")}); }

Hash256 audit_hash(std::string_view line) {
  return blake2b_256({as_bytes("atoll audit line 1"), as_bytes(line)});
}

std::string escape(std::string_view text, std::size_t limit) {
  std::string out;
  std::size_t cut = 0;  // how much may stay if the end does not fit
  for (const char each : text) {
    const auto c = static_cast<unsigned char>(each);
    if (out.size() + kCut.size() <= limit) cut = out.size();
    if (plain(c)) {
      out += each;
    } else {
      out += "\\x";
      out += kDigits[c >> 4];
      out += kDigits[c & 15];
    }
    if (out.size() <= limit) continue;
    out.resize(cut);
    return out += kCut;
  }
  return out;
}

std::string encode_audit_line(std::uint64_t number, std::uint64_t unix_time,
                              const AuditEvent& event, const Hash256& previous) {
  CHECK(is_kind(event.kind)) << event.kind;
  std::string line = std::to_string(number);
  for (const std::string& field :
       {time_text(unix_time), event.kind, escape(event.subject, kMaxAuditSubject),
        escape(event.detail, kMaxAuditDetail), to_hex(previous)}) {
    line += '\t';
    line += field;
  }
  return line += '\n';
}

Result<AuditLine> parse_audit_line(std::string_view line) {
  const Error malformed{Code::kData, "audit line", "it is malformed"};
  if (line.size() > kMaxAuditLine || !line.ends_with('\n')) return malformed;
  line.remove_suffix(1);
  const auto fields = split(line);
  if (fields.size() != kFields) return malformed;
  const auto number = number_from_text(fields[0]);
  const auto previous = hash_from_hex(fields[5]);
  const bool good = number && *number != 0 && previous && is_time(fields[1]) &&
                    is_kind(fields[2]) && is_escaped(fields[3], kMaxAuditSubject) &&
                    is_escaped(fields[4], kMaxAuditDetail);
  if (!good) return malformed;
  return AuditLine{
      *number, std::string(fields[1]),
      AuditEvent{std::string(fields[2]), std::string(fields[3]), std::string(fields[4])},
      *previous};
}

}  // namespace reef::security
