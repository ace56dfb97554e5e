#pragma once
// For tests and simulation ONLY: a channel whose records are not sealed. Production code has no way
// to make one, and scripts/ may grep for this name.

#include <memory>
#include <vector>

#include "runtime/link/channel/channel.h"

namespace reef::link {

struct PlainChannelForTests {
  static std::unique_ptr<Channel> create(std::unique_ptr<Link> link, ChannelOptions options = {});
  /// Over several streams, the first for control.
  static std::unique_ptr<Channel> create(std::vector<std::unique_ptr<Link>> links,
                                         ChannelOptions options = {});
  static std::unique_ptr<Channel> over_records(std::unique_ptr<RecordLink> link,
                                               ChannelOptions options = {});
  /// The records alone, with the same header as sealed ones.
  static std::unique_ptr<RecordLink> records(std::unique_ptr<Link> link);
};

}  // namespace reef::link
