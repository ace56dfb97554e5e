// Cluster policies: texts of any kind, texts of any kind that the authority signed, and honest ones
// changed.

#include "security/identity/cluster_policy.h"

#include "tests/fuzz/cluster.h"

using namespace reef;
using security::ClusterPolicy;

namespace {

const security::Authority& authority() { return fuzz::Cluster::get().authority; }

void check(std::string_view text) {
  const auto policy = security::verify_policy(text, authority().public_key());
  if (!policy.ok()) return fuzz::check_refusal(policy.error(), {Code::kData, Code::kRefused});
  CHECK(*policy == security::parse_policy(text).value());
  CHECK(policy->grace() <= policy->credential_lifetime);
  CHECK_EQ(security::sign_policy(*policy, authority()).value(), text) << "two forms of one policy";
}

void sign(fuzz::Input& input) {
  ClusterPolicy policy;
  policy.version = input.number<std::uint64_t>();
  policy.cipher = input.below(2) == 0 ? security::Cipher::kChaChaPoly : security::Cipher::kAesGcm;
  policy.credential_lifetime = std::chrono::seconds(input.number<std::int64_t>());
  const auto text = security::sign_policy(policy, authority());
  if (!text.ok()) return fuzz::check_refusal(text.error(), {Code::kUsage});
  CHECK(security::verify_policy(*text, authority().public_key()).value() == policy);
  const Bytes changed = fuzz::mutated(as_bytes(*text), input);
  const auto forged = security::verify_policy(as_text(changed), authority().public_key());
  CHECK_EQ(forged.ok(), as_text(changed) == *text) << "a forged policy";
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  fuzz::Input input(data, size);
  const std::size_t form = input.below(3);
  if (form == 0) {
    const std::string_view text = as_text(input.rest());
    check(text);
    const auto unsigned_policy = security::parse_policy(text);
    if (!unsigned_policy.ok()) fuzz::check_refusal(unsigned_policy.error(), {Code::kData});
  }
  if (form == 1) check(fuzz::Cluster::get().signed_text(as_text(input.rest())));
  if (form == 2) sign(input);
  return 0;
}
