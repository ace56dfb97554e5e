#pragma once
// Whom this node joins with whom, as a relay.

#include "runtime/link/relay/wire.h"
#include "runtime/node/protocol.h"
#include "scheduler/plan/plan.h"
#include "security/identity/credential.h"

namespace reef::node {

/// Whether `who` may be joined by this node as it asks. Denied unless a route of the plan leads
/// from the one to the other through here, in this epoch, and the asker's name and key and the
/// other's key are those of the assignment. kFenced: another epoch; kRefused.
Status may_be_joined(const plan::Plan& plan, const Assign& assign, const security::Credential& who,
                     const link::relay::Join& join);

}  // namespace reef::node
