#pragma once
// What error feedback remembers. A codec that sends a small part of each tensor loses nothing for
// good if the rest is added to the next one; that rest is the residual. It is state of whoever owns
// the codec, never hidden in it, so that an actor can checkpoint it and take it along when it
// moves.

#include <vector>

#include "runtime/base/bytes.h"
#include "runtime/base/error.h"

namespace reef::codec {

/// Sum of what was decoded = sum of what was encoded, less the residual.
struct Feedback {
  std::vector<float> residual;  ///< an element for each of the tensor; zeros at the beginning
  std::vector<float> warm;      ///< PowerSGD's right factors, with which the next search begins

  bool operator==(const Feedback&) const = default;
};

/// u32 magic | u32 version | u64 residual | u64 warm | fp32 of both, little-endian.
Bytes save(const Feedback& feedback);
/// What save() wrote, of exactly these sizes. Failure: kCheckpoint for anything else, also for a
/// number that is not finite, found before memory is taken.
Result<Feedback> restore(BytesView saved, std::size_t residual, std::size_t warm);

}  // namespace reef::codec
