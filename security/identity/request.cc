#include "security/identity/request.h"

#include "security/identity/encoding.h"

namespace reef::security {
namespace {

// Signed request:
//   version u8 = 1 | role u8 | noise key 32 | identity key 32 | name length u8 | name |
//   datacenter length u8 | datacenter | signature 64
constexpr std::string_view kContext = "atoll credential request 1";
constexpr std::byte kFormat{1};

Bytes message_of(BytesView body) {
  Bytes message = to_bytes(as_bytes(kContext));
  append(message, body);
  return message;
}

}  // namespace

Result<Bytes> sign_request(const NodeKey& key, Role role, const std::string& name,
                           const std::string& datacenter) {
  if (!valid_name(name) || !valid_name(datacenter)) {
    return Error{Code::kUsage, "request",
                 "name and datacenter are 1 to 255 bytes without control characters"};
  }
  Bytes out{kFormat, static_cast<std::byte>(role)};
  append(out, BytesView(key.noise_key()));
  append(out, BytesView(key.identity_key()));
  append_name(out, name);
  append_name(out, datacenter);
  append(out, BytesView(key.sign(message_of(out))));
  return out;
}

Result<CredentialRequest> parse_request(BytesView signed_request) {
  const Error malformed{Code::kProto, "request", "it is malformed"};
  if (signed_request.size() < kSignatureSize || signed_request.size() > kMaxRequest)
    return malformed;
  const BytesView body = signed_request.first(signed_request.size() - kSignatureSize);
  Reader reader(body);
  CredentialRequest request;
  const bool known_format = reader.byte() == std::to_integer<std::uint8_t>(kFormat);
  request.role = static_cast<Role>(reader.byte());
  reader.array(request.noise_key);
  reader.array(request.identity_key);
  request.name = reader.name();
  request.datacenter = reader.name();
  if (!known_format || !known_role(request.role) || !reader.finished()) return malformed;
  if (!valid_name(request.name) || !valid_name(request.datacenter)) return malformed;
  if (!ed25519_verify(signed_request.last(kSignatureSize), request.identity_key,
                      message_of(body))) {
    return Error{Code::kRefused, "request", "it is not signed by the key that it names"};
  }
  return request;
}

}  // namespace reef::security
