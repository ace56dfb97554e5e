#include "security/identity/roster.h"

#include "security/crypto/text.h"
#include "security/identity/signed_text.h"

namespace reef::security {
namespace {

constexpr std::string_view kKind = "atoll-roster-1";

/// Inserts behind everything that is there; false when it does not belong behind it.
template <typename T>
bool append_in_order(std::set<T>& set, const T& value) {
  if (!set.empty() && !(*set.rbegin() < value)) return false;
  set.insert(set.end(), value);
  return true;
}

bool read_entry(Roster& roster, const Field& field) {
  if (field.first == "serial") {
    const auto serial = number_from_text(field.second);
    return serial && roster.nodes.empty() && append_in_order(roster.serials, *serial);
  }
  const auto node = hash_from_hex(field.second);
  return field.first == "node" && node && append_in_order(roster.nodes, *node);
}

Result<Roster> read(const std::vector<Field>& fields) {
  const Error malformed{Code::kData, "roster", "it is malformed"};
  if (fields.empty() || fields.size() > kMaxRevoked + 1) return malformed;
  const auto version = number_from_text(fields[0].second);
  if (fields[0].first != "version" || !version || *version == 0) return malformed;
  Roster roster{*version, {}, {}};
  for (std::size_t i = 1; i < fields.size(); ++i) {
    if (!read_entry(roster, fields[i])) return malformed;
  }
  return roster;
}

}  // namespace

bool Roster::revokes(const Credential& credential) const {
  return serials.contains(credential.serial) || nodes.contains(credential.node_id());
}

Result<std::string> sign_roster(const Roster& roster, const Authority& authority) {
  if (roster.serials.size() + roster.nodes.size() > kMaxRevoked) {
    return Error{Code::kUsage, "roster",
                 "lists more than " + std::to_string(kMaxRevoked) +
                     " entries; leave out serials that have expired"};
  }
  std::vector<std::string> values{std::to_string(roster.version)};
  for (const std::uint64_t serial : roster.serials) values.push_back(std::to_string(serial));
  for (const NodeId& node : roster.nodes) values.push_back(to_hex(node));
  std::vector<Field> fields{{"version", values[0]}};
  for (std::size_t i = 1; i < values.size(); ++i) {
    fields.emplace_back(i <= roster.serials.size() ? "serial" : "node", values[i]);
  }
  return sign_text(kKind, fields,
                   [&authority](BytesView message) { return authority.sign(message); });
}

Result<Roster> verify_roster(std::string_view text, const PublicKey& authority) {
  ATOLL_ASSIGN(const auto fields, verify_text(text, kKind, authority, kMaxRoster));
  return read(fields);
}

Result<Roster> parse_roster(std::string_view text) {
  ATOLL_ASSIGN(const auto fields, parse_text(text, kKind, kMaxRoster));
  return read(fields);
}

Result<bool> RosterHolder::take(std::string_view text) {
  ATOLL_ASSIGN(Roster roster, verify_roster(text, authority_));
  const std::string versions = "has version " + std::to_string(roster.version) + ", and version " +
                               std::to_string(roster_.version) + " was seen already";
  if (roster.version < roster_.version) return Error{Code::kRefused, "roster", versions};
  if (roster.version == roster_.version) {
    if (roster == roster_) return false;
    return Error{Code::kRefused, "roster", versions + " with another content"};
  }
  roster_ = std::move(roster);
  text_ = text;
  return true;
}

}  // namespace reef::security
