#pragma once
// With whom the outer store of this node's job exchanges letters: the nodes that have the outer
// stores of the other islands. Of datacenters that train by local steps each is a job of its own,
// so these are no peers of the plan: they come and go while it runs.
//
// One of each two must be able to dial the other. Two islands that are both behind an address
// translation would need a relay, which is not there for partners.

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>

#include "runtime/node/partner.h"

namespace reef::node {

/// Of letters to one partner, as multiples of the largest: two snapshots, of which one may be
/// under way while another is asked for. A partner that leaves more unread is too slow.
inline constexpr std::size_t kMostLargestUnsent = 2;

/// Thread: the loop's, but for send(). Memory: what send() took and has not left, bounded for each
/// partner; what arrives, as link::Channel. Failure: partner.h; none of a job's.
class PartnerChannels {
 public:
  struct Callbacks {
    std::function<void(std::uint32_t island, Letter)> on_letter;
    std::function<void(std::uint32_t island, bool present)> on_changed;
  };

  PartnerChannels(const PartnerSite& site, Callbacks callbacks);
  PartnerChannels(const PartnerChannels&) = delete;
  PartnerChannels& operator=(const PartnerChannels&) = delete;

  /// Leaves whoever is not listed or listed otherwise, and meets whoever is new. In another meeting
  /// all are.
  void meet(const Partners& partners);
  /// 0 before meet().
  std::uint64_t meeting() const { return meeting_; }
  /// Somebody dialled us for a meeting. Refused, with a line in the log, unless this one is the
  /// meeting and the peer, by its proven name and key, a partner that is to dial us.
  void accepted(link::Streams streams);

  /// As Wire::send_letter. A letter over the limits, for itself or with those before it, closes the
  /// channel: there is none then. Thread: any; for an order of letters their sender is one.
  bool send(std::uint32_t island, Letter letter);
  /// Shows all our renewed credential.
  void present(const Bytes& credential);
  std::uint64_t wire_bytes() const;
  /// Leaves all and meets nobody any more; nothing is called back from then on.
  void close();

 private:
  /// To a partner that is there.
  struct Way {
    std::uint64_t number = 0;  ///< of no other
    std::uint64_t meeting = 0;
    std::size_t unsent = 0;  ///< bytes
    bool full = false;       ///< its channel is about to be closed
  };
  Status room(const Way& way, const Letter& letter) const;
  void leave(std::uint32_t island);
  void changed(std::uint32_t island, bool present);
  PartnerChannel* still(std::uint32_t island, std::uint64_t way);
  void post(std::uint32_t island, std::uint64_t way, link::Message message);
  void left(std::uint32_t island, std::uint64_t way, std::size_t bytes);

  const PartnerSite site_;
  const Callbacks callbacks_;
  std::uint64_t meeting_ = 0;
  std::map<std::uint32_t, std::unique_ptr<PartnerChannel>> channels_;  ///< by island
  std::uint64_t past_bytes_ = 0;  ///< to partners that were left
  bool closed_ = false;
  std::mutex mutex_;  ///< guards ways_
  std::map<std::uint32_t, Way> ways_;
  std::uint64_t next_way_ = 1;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);  ///< what is posted may outlive us
};

}  // namespace reef::node
