// What a machine gets for its token: bytes that claim to be a grant, and an honest one changed.

#include "security/identity/grant.h"

#include "tests/fuzz/cluster.h"

using namespace reef;

namespace {

/// What is believed is what the authority signed for this key; only the scheduler's key, which the
/// caller compares with the one in the token, may be another.
void check(BytesView bytes, const security::Grant& honest) {
  const auto grant = security::parse_grant(bytes);
  if (!grant.ok()) return fuzz::check_refusal(grant.error(), {Code::kProto});
  const Bytes again = security::encode_grant(*grant);
  CHECK(std::equal(again.begin(), again.end(), bytes.begin(), bytes.end()))
      << "two forms of one grant";
  const security::NodeKey& key = *fuzz::Cluster::get().node;
  const auto credential = security::check_grant(*grant, key, fuzz::Cluster::kNow);
  if (!credential.ok()) {
    return fuzz::check_refusal(credential.error(), {Code::kProto, Code::kRefused, Code::kData});
  }
  CHECK(grant->credential == honest.credential && grant->authority == honest.authority);
  CHECK(grant->policy.empty() || grant->policy == honest.policy);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const security::Grant honest = fuzz::Cluster::get().grant();
  fuzz::Input input(data, size);
  if (input.below(2) == 0) return check(input.rest(), honest), 0;
  check(fuzz::mutated(security::encode_grant(honest), input), honest);
  return 0;
}
