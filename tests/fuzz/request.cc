// What a machine asks the authority: bytes that claim to be a request, requests of any fields that
// their own key signed, and such ones changed.

#include "security/identity/request.h"

#include "tests/fuzz/cluster.h"

using namespace reef;

namespace {

void parse(BytesView bytes) {
  const auto request = security::parse_request(bytes);
  if (!request.ok()) return fuzz::check_refusal(request.error(), {Code::kProto, Code::kRefused});
  CHECK_LE(bytes.size(), security::kMaxRequest);
  const security::NodeKey& key = *fuzz::Cluster::get().node;
  // What another key signed cannot be signed again here. The Noise key is only claimed: the
  // handshake proves it.
  if (request->identity_key != key.identity_key() || request->noise_key != key.noise_key()) return;
  const auto again = security::sign_request(key, request->role, request->name, request->datacenter);
  CHECK(again.ok() && std::equal(again->begin(), again->end(), bytes.begin(), bytes.end()))
      << "two forms of one request";
}

void sign(fuzz::Input& input) {
  const security::NodeKey& key = *fuzz::Cluster::get().node;
  const auto role = static_cast<security::Role>(1 + input.below(3));
  const std::string name(as_text(input.take(input.number<std::uint16_t>() % 300)));
  const std::string datacenter(as_text(input.take(input.number<std::uint16_t>() % 300)));
  const auto bytes = security::sign_request(key, role, name, datacenter);
  if (!bytes.ok()) return fuzz::check_refusal(bytes.error(), {Code::kUsage});
  const auto back = security::parse_request(*bytes);
  CHECK(back.ok()) << back.error().text();
  const security::CredentialRequest want{role, name, datacenter, key.noise_key(),
                                         key.identity_key()};
  CHECK(*back == want);
  const Bytes changed = fuzz::mutated(*bytes, input);
  if (changed != *bytes) CHECK(!security::parse_request(changed).ok()) << "a forged request";
}

/// Fields of any form under a signature that holds.
void sign_body(BytesView body) {
  Bytes message = to_bytes(as_bytes("atoll credential request 1"));
  message.insert(message.end(), body.begin(), body.end());
  const security::Signature signature = fuzz::Cluster::get().node->sign(message);
  parse(fuzz::Output().rest(body).rest(signature).bytes());
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  fuzz::Input input(data, size);
  const std::size_t form = input.below(3);
  if (form == 0) parse(input.rest());
  if (form == 1) sign(input);
  if (form == 2) sign_body(input.rest());
  return 0;
}
