#pragma once
// Messages in, fragments out, the most urgent first.

#include <array>
#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <vector>

#include "runtime/link/channel/fragment.h"
#include "runtime/link/executor.h"

namespace reef::link {

/// The sending half of a channel. Messages of a lane are cut one after another, so at most one a
/// lane is cut in part; fragments may leave over several streams and finish in any order.
/// Thread: one. Memory: the handles that the messages hold.
class Outbox {
 public:
  struct Entry {
    std::uint64_t id = 0;  ///< the owner's, unique in the channel, not 0
    Message message;
    Done done;
    TimerId timer = 0;
    // The outbox's own.
    std::uint64_t number = 0;  ///< within the lane, from its first fragment on
    std::size_t sent = 0;      ///< bytes cut off so far
    std::size_t leaving = 0;   ///< fragments that have not left
  };
  /// A fragment whose bytes are `pieces`, valid until the message is done.
  struct Cut {
    std::uint64_t id = 0;
    Fragment fragment;
    std::array<BytesView, 2> pieces;
    std::size_t size() const { return pieces[0].size() + pieces[1].size(); }
  };

  void push(Entry entry);
  /// Whether a lane from `first` to `last` has something to cut.
  bool has(Lane first, Lane last) const;
  /// At most `room` bytes off the most urgent message of these lanes, of which there is one.
  Cut cut(Lane first, Lane last, std::size_t room);
  /// A fragment of this message has left. The message, if that was all of it.
  std::optional<Entry> left(std::uint64_t id);
  /// Gives the message up. `abort` is what the peer must be told if it holds a part. Nothing when
  /// it has left or was given up already.
  std::optional<Entry> take_back(std::uint64_t id, Lane lane, std::optional<Fragment>& abort);
  /// Gives everything up.
  std::vector<Entry> take_all();

 private:
  std::array<std::deque<Entry>, kLanes> lanes_;
  std::array<std::uint64_t, kLanes> numbers_{};  ///< given out so far
  std::map<std::uint64_t, Entry> leaving_;       ///< cut to the end
};

}  // namespace reef::link
