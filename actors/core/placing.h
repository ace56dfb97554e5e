#pragma once
// Where tensors lie. One rule for the whole node: acts on the compute stream see the memory of its
// device, acts on the io stream see the host's. Actors of the compute stream keep it, at both their
// ends: what an act is given is brought to the device before it runs, and what it gives to an actor
// of the io stream is brought to the host behind it. So codecs, wires, checkpoints, metrics and
// loaders know no device, and where the device is the processor nothing is copied.
//
// Thread: the compute stream's.

#include <span>

#include "ops/tensor/context.h"
#include "runtime/register/token.h"

namespace reef::actors {

/// Replaces tensors in host memory by copies on the context's device. In the slots themselves,
/// which are the consumer's until it gives them back: what several firings read is copied once.
void bring_to_device(ops::Context& context, std::span<Token* const> inputs);

/// Replaces tensors on the context's device by copies in its staging memory, which are there when
/// the context is done with what was launched.
void bring_to_host(ops::Context& context, Token& output);

}  // namespace reef::actors
