#pragma once
// What the outer stores of two islands write to each other of a fragment, as kinds of
// node::Letter. One island is the fragment's home, where updates are made.
//
//   to the home                               from it
//   join: I am there, and know this version   have: what I have of you
//   progress: what training did               update: what all have told (told.h), for the outer
//   replica: the weights, with their            optimizer of each island; one version further
//     momentum, as I know them                snapshot: the global weights and their momentum
//                                             ask: give me your replica, I know less than you
//   done: I have taken the last update        home: I am it now, join me
//   late: your update should have been here   pace: tell at every so many due dates
//   hurry: my held-out losses have risen      ahead: what you told has waited for others
//
// Progress is numbered by its island without gaps; an update says up to which number it includes
// the receiver's. So letters that a lost channel has swallowed are seen, and sent again.

#include <cstdint>

#include "runtime/node/letter.h"

namespace reef::actors {

enum class LetterKind : std::uint16_t {
  kJoin = 1,      ///< number: version; included: last telling that was counted; tokens: last told
  kHave = 2,      ///< number: last telling that came; tokens: the home's version
  kProgress = 3,  ///< number: of the telling; tokens: trained since the last; included: the share
                  ///< of the job that is done, of 2^32; payload: encoded
  kUpdate = 4,    ///< number: version; included: last telling counted; tokens: microseconds that
                  ///< this one waited for others'; payload: told.h, less the receiver's own
  kLastProgress = 5,
  kLastUpdate = 6,
  kSnapshot = 7,  ///< as an update, but the fragment in f32 and its outer momentum behind it;
                  ///< tokens: 1 if none comes after it
  kAsk = 8,       ///< answered with a replica
  kDone = 9,
  kPace = 10,  ///< number: of due dates, a power of two (pace.h)
  kLate = 11,
  kHurry = 12,        ///< number: times that the island has asked
  kJoinAnew = 13,     ///< join, of one that has begun anew and has nothing of the others yet
  kJoinThrough = 14,  ///< join, of one that has told its last, and it was counted
  kHome = 15,
  kReplica = 16,  ///< as a snapshot
  kAhead = 17,    ///< tokens: microseconds that the next update waited for others who have done no
                  ///< more of the job (lead.h)
};

inline constexpr std::uint64_t kLongestWait = std::uint64_t{1} << 40;  ///< microseconds

inline node::Letter letter_of(LetterKind kind, std::uint32_t fragment) {
  node::Letter letter;
  letter.kind = static_cast<std::uint16_t>(kind);
  letter.fragment = fragment;
  return letter;
}

}  // namespace reef::actors
