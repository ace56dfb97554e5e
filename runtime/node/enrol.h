#pragma once
// How a machine without a credential gets one: it shows its token to the scheduler, and its new
// keys.

#include <filesystem>
#include <string>

#include "runtime/base/error.h"
#include "security/identity/credential.h"
#include "security/identity/grant.h"
#include "security/identity/token.h"

namespace reef::node {

struct EnrolOptions {
  std::string scheduler_host;
  std::uint16_t scheduler_port = 0;
  std::string name;
  security::Role role = security::Role::kNode;
};

/// The message of who enrols, once the handshake has shown that it holds the token's secret:
/// `secret 32 | signed request`. The answer is a grant, or the end of the line.
security::SecretBytes enrol_message(const security::EnrolmentToken& token, BytesView request);

/// Asks for a credential for `key`. Blocks, up to some seconds. kRefused for whatever is wrong with
/// the token: the scheduler does not say, its log does. kPeerLost or kTimedOut when nobody is
/// there. What comes back is checked and is for this key.
Result<security::Grant> enrol(const EnrolOptions& options, const security::NodeKey& key,
                              std::shared_ptr<const security::EnrolmentToken> token);

/// As enrol(), with the key that `folder` has or a new one, and makes the folder's identity. A new
/// key is saved before anybody is dialled and stays whatever happens: if the answer is lost, the
/// scheduler has given the name to this key, and it gets it again with another token.
Result<security::Credential> enrol_into(const std::filesystem::path& folder,
                                        const EnrolOptions& options,
                                        std::shared_ptr<const security::EnrolmentToken> token);

}  // namespace reef::node
