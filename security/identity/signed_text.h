#pragma once
// Statements that people should be able to read with `cat`: lines `field: value`, the last of which
// is a signature over all before it. Policy, roster and the head of the audit log are such texts.

#include <functional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "runtime/base/error.h"
#include "security/crypto/crypto.h"

namespace reef::security {

using Field = std::pair<std::string_view, std::string_view>;
using Signer = std::function<Signature(BytesView)>;

/// "<kind>\n", a line for each field, "signature: <base64>\n".
std::string sign_text(std::string_view kind, const std::vector<Field>& fields,
                      const Signer& signer);

/// The fields, without the signature, as views into `text`. kRefused when `key` did not sign it;
/// kData when it is of another kind, longer than `limit` or not of this form to the byte.
Result<std::vector<Field>> verify_text(std::string_view text, std::string_view kind,
                                       const PublicKey& key, std::size_t limit);

/// As verify_text, but believes anybody: for showing files.
Result<std::vector<Field>> parse_text(std::string_view text, std::string_view kind,
                                      std::size_t limit);

}  // namespace reef::security
