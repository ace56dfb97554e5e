#include "security/identity/token.h"

#include "security/crypto/text.h"
#include "security/identity/secret_file.h"

namespace reef::security {
namespace {

constexpr std::string_view kVersion = "v1.";
constexpr std::size_t kKeyText = base64_size(kKeySize);
constexpr std::size_t kIdText = base64_size(sizeof(TokenId));
constexpr std::size_t kTokenText = kVersion.size() + kKeyText + 1 + kIdText + 1 + kKeyText;

}  // namespace

EnrolmentToken EnrolmentToken::generate(const PublicKey& scheduler) {
  EnrolmentToken token{scheduler, {}, SecretBytes::random(kKeySize)};
  random_bytes(token.id);
  return token;
}

SecretBytes EnrolmentToken::text() const {
  SecretBytes text(kTokenText);
  std::span<std::byte> to = text.span();
  const auto put = [&to](BytesView bytes) {
    std::copy(bytes.begin(), bytes.end(), to.begin());
    to = to.subspan(bytes.size());
  };
  put(as_bytes(kVersion));
  put(as_bytes(to_base64(scheduler)));
  put(as_bytes("."));
  put(as_bytes(to_base64(id)));
  put(as_bytes("."));
  write_base64(to, secret.view());
  return text;
}

TokenProof proof_of(BytesView token_secret) {
  CHECK_EQ(token_secret.size(), std::size_t{kKeySize});
  const KeyView key(token_secret.data(), kKeySize);
  TokenProof proof{derive_key(key, as_bytes("atoll enrolment psk 1")), {}};
  proof.verifier = blake2b_256({as_bytes("atoll enrolment token 1"), token_secret});
  return proof;
}

Result<EnrolmentToken> parse_token(std::string_view text) {
  const Error malformed{Code::kData, "token",
                        "is not an enrolment token; it looks like v1.<key>.<id>.<secret>"};
  if (text.ends_with('\n')) text.remove_suffix(1);
  if (text.size() != kTokenText || !text.starts_with(kVersion)) return malformed;
  text.remove_prefix(kVersion.size());
  if (text[kKeyText] != '.' || text[kKeyText + 1 + kIdText] != '.') return malformed;
  EnrolmentToken token{{}, {}, SecretBytes(kKeySize)};
  const bool good = from_base64(text.substr(0, kKeyText), token.scheduler) &&
                    from_base64(text.substr(kKeyText + 1, kIdText), token.id) &&
                    from_base64(text.substr(kKeyText + 1 + kIdText + 1), token.secret.span());
  if (!good) return malformed;
  return token;
}

Result<EnrolmentToken> load_token(const std::string& path) {
  ATOLL_ASSIGN(const SecretBytes content, read_secret_file(path, 4096));
  auto token = parse_token(as_text(content.view()));
  if (!token.ok()) return Error{token.error().code, path, token.error().what};
  return token;
}

std::string token_name(const TokenId& id) { return to_base64(id); }

}  // namespace reef::security
