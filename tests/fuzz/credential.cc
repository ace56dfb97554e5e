// Credentials: bytes that claim to be one, and honest ones with any fields.

#include "security/identity/credential.h"

#include "runtime/base/utf8.h"
#include "tests/fuzz/cluster.h"

using namespace reef;
using security::Credential;

namespace {

void check_names(const Credential& credential) {
  for (const std::string& name : {credential.name, credential.datacenter}) {
    CHECK(!name.empty() && name.size() <= security::kMaxName);
    CHECK_EQ(first_bad_utf8(name), name.size()) << "names are UTF-8";
    for (const unsigned char c : name) CHECK(c >= 0x20 && c != 0x7F);
  }
}

void parse(BytesView bytes) {
  const fuzz::Cluster& cluster = fuzz::Cluster::get();
  const auto verified = security::verify_credential(
      bytes, cluster.authority.public_key(), cluster.authority.cluster(), fuzz::Cluster::kNow);
  if (!verified.ok()) fuzz::check_refusal(verified.error(), {Code::kProto, Code::kRefused});
  const auto credential = security::parse_credential(bytes);
  if (!credential.ok()) {
    CHECK(!verified.ok());
    return fuzz::check_refusal(credential.error(), {Code::kProto});
  }
  check_names(*credential);
  CHECK_LE(bytes.size(), security::kMaxCredential);
  const Bytes again = security::encode_credential(*credential).value();
  CHECK_EQ(again.size() + security::kSignatureSize, bytes.size());
  CHECK(std::equal(again.begin(), again.end(), bytes.begin())) << "two forms of one credential";
  if (verified.ok()) CHECK(*verified == *credential);
}

/// What the authority signs is believed as long as it holds, and not if a bit of it changed.
void sign(fuzz::Input& input) {
  const fuzz::Cluster& cluster = fuzz::Cluster::get();
  Credential credential = cluster.credential(static_cast<security::Role>(1 + input.below(3)));
  credential.not_after = input.number<std::uint64_t>();
  credential.serial = input.number<std::uint64_t>();
  credential.name = as_text(input.take(input.number<std::uint8_t>()));
  credential.datacenter = as_text(input.take(input.number<std::uint8_t>()));
  const auto issued = cluster.authority.issue(credential);
  if (!issued.ok()) return fuzz::check_refusal(issued.error(), {Code::kUsage});
  if (issued->size() > security::kMaxCredential) return;
  const auto verify = [&](BytesView bytes) {
    return security::verify_credential(bytes, cluster.authority.public_key(),
                                       cluster.authority.cluster(), fuzz::Cluster::kNow);
  };
  const auto back = verify(*issued);
  CHECK_EQ(back.ok(), credential.not_after >= fuzz::Cluster::kNow);
  if (back.ok()) CHECK(*back == credential);
  if (!back.ok()) fuzz::check_refusal(back.error(), {Code::kRefused});
  const Bytes changed = fuzz::mutated(*issued, input);
  if (changed != *issued) CHECK(!verify(changed).ok()) << "a forged credential";
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  fuzz::Input input(data, size);
  if (input.below(2) == 0)
    parse(input.rest());
  else
    sign(input);
  return 0;
}
