// Rosters: two texts, one after the other, that anybody wrote or the authority signed, whatever
// stands in them.

#include "security/identity/roster.h"

#include "tests/fuzz/cluster.h"

using namespace reef;
using security::Roster;

namespace {

const security::Authority& authority() { return fuzz::Cluster::get().authority; }

void check(std::string_view text, security::RosterHolder& holder) {
  const Roster held = holder.roster();
  const std::string held_text = holder.text();
  const auto taken = holder.take(text);
  const auto roster = security::verify_roster(text, authority().public_key());
  if (roster.ok()) {
    CHECK(*roster == security::parse_roster(text).value());
    CHECK_EQ(security::sign_roster(*roster, authority()).value(), text)
        << "two forms of one roster";
  }
  const bool newer = roster.ok() && roster->version > held.version;
  CHECK_EQ(taken.ok() && *taken, newer);
  if (newer) {
    CHECK(holder.roster() == *roster && holder.text() == text);
    const auto again = holder.take(text);
    CHECK(again.ok() && !*again) << "taken twice";
    return;
  }
  CHECK(holder.roster() == held && holder.text() == held_text) << "a revoked node is let in again";
  if (taken.ok()) CHECK(*roster == held);
  if (!taken.ok()) fuzz::check_refusal(taken.error(), {Code::kData, Code::kRefused});
}

}  // namespace

/// `signed u8 | piece`, twice.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  fuzz::Input input(data, size);
  security::RosterHolder holder(authority().public_key());
  for (int i = 0; i < 2; ++i) {
    const bool sign = input.below(2) != 0;
    const std::string_view text = as_text(input.piece());
    check(sign ? fuzz::Cluster::get().signed_text(text) : std::string(text), holder);
  }
  return 0;
}
