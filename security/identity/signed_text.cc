#include "security/identity/signed_text.h"

#include "security/crypto/text.h"

namespace reef::security {
namespace {

constexpr std::string_view kSignatureField = "signature";
constexpr std::string_view kSeparator = ": ";

Error malformed(std::string_view kind) {
  return {Code::kData, std::string(kind), "it is not such a file, or was changed"};
}

/// Takes a line, which must have its end, from the front.
std::optional<std::string_view> take_line(std::string_view& text) {
  const auto end = text.find('\n');
  if (end == std::string_view::npos) return std::nullopt;
  const std::string_view line = text.substr(0, end);
  text.remove_prefix(end + 1);
  return line;
}

struct Parsed {
  std::vector<Field> fields;
  std::string_view body;  ///< what is signed
  Signature signature;
};

Result<Parsed> parse(std::string_view text, std::string_view kind, std::size_t limit) {
  if (text.size() > limit) return malformed(kind);
  std::string_view rest = text;
  if (take_line(rest) != kind) return malformed(kind);
  Parsed parsed;
  while (!rest.empty()) {
    const std::size_t begin = text.size() - rest.size();
    const auto line = take_line(rest);
    if (!line) return malformed(kind);
    const auto separator = line->find(kSeparator);
    if (separator == std::string_view::npos) return malformed(kind);
    const Field field{line->substr(0, separator), line->substr(separator + kSeparator.size())};
    if (field.first != kSignatureField) {
      parsed.fields.push_back(field);
      continue;
    }
    parsed.body = text.substr(0, begin);
    if (!rest.empty() || !from_base64(field.second, parsed.signature)) return malformed(kind);
    return parsed;
  }
  return malformed(kind);
}

}  // namespace

std::string sign_text(std::string_view kind, const std::vector<Field>& fields,
                      const Signer& signer) {
  std::string text(kind);
  text += '\n';
  for (const auto& [name, value] : fields) {
    text += name;
    text += kSeparator;
    text += value;
    text += '\n';
  }
  const std::string signature = to_base64(signer(as_bytes(text)));
  return text + std::string(kSignatureField) + std::string(kSeparator) + signature + "\n";
}

Result<std::vector<Field>> verify_text(std::string_view text, std::string_view kind,
                                       const PublicKey& key, std::size_t limit) {
  ATOLL_ASSIGN(Parsed parsed, parse(text, kind, limit));
  // The first line, which is part of the body, is the signature's context.
  if (!ed25519_verify(parsed.signature, key, as_bytes(parsed.body))) {
    return Error{Code::kRefused, std::string(kind), "its signature is not by the expected key"};
  }
  return std::move(parsed.fields);
}

Result<std::vector<Field>> parse_text(std::string_view text, std::string_view kind,
                                      std::size_t limit) {
  ATOLL_ASSIGN(Parsed parsed, parse(text, kind, limit));
  return std::move(parsed.fields);
}

}  // namespace reef::security
