#pragma once
// All fragments of an island, and those whose home it is: what letters mean, and which ones are
// due. Between the outer store, which sees shards, and the fragments, which see no channel.
//
// exchange.cc has tellings and updates, exchange_homes.cc how islands and homes meet, and
// exchange_pace.cc how often they tell each other.

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "actors/store/local_steps/fragments.h"
#include "actors/store/local_steps/home_fragment.h"
#include "actors/store/local_steps/lead.h"
#include "actors/store/local_steps/letters.h"
#include "actors/store/local_steps/local_fragment.h"
#include "actors/store/local_steps/pace.h"
#include "actors/store/local_steps/post.h"
#include "scheduler/job/local_steps.h"

namespace reef::actors {

/// Thread: one at a time; time is the caller's. Failure: what another island writes and cannot be
/// is logged and passed over; it never fails the job.
class Exchange {
 public:
  /// False while there is no channel to the island.
  using SendLetter = std::function<bool(std::uint32_t island, node::Letter letter)>;

  /// `fragments` outlives it; `global`: of each fragment.
  Exchange(const job::LocalSteps& local, const job::Island& island, const Fragments& fragments,
           const std::vector<std::vector<float>>& global, SendLetter send, Time now);

  /// Who else trains, and where homes are, as the scheduler has it. An island that has begun anew
  /// knows of no home before. Failure: kFenced where a home that is here is said to have moved:
  /// the scheduler has given this island up.
  Status set_company(const job::Company& company, Time now);

  /// A step was made; so much of the job is done, of 2^32.
  void trained(std::uint64_t tokens, std::uint64_t done);
  /// The fragment is due: its weights after the step, with all corrections that were taken before
  /// this call in them. Told if its pace says so and the home is there and not behind; `last`: as
  /// soon as it is there.
  void tell(std::uint32_t fragment, std::vector<float> weights, bool last, Time now);
  void handle(const std::vector<Post::Event>& events, Time now);
  /// Makes the updates that are due. Behind tell() and handle().
  void update(Time now);

  /// Whether and how this island holds back while it is ahead of the others.
  Lead& lead() { return lead_; }

  /// This island's loss guard asks for fragments to be told twice as often.
  void hurry();

  bool corrects(std::uint32_t fragment) const { return sides_[fragment].local.corrects(); }
  /// What is to be added to the fragment's weights; once. Valid until the next call.
  std::span<const float> correction(std::uint32_t fragment) {
    return sides_[fragment].local.correction();
  }
  /// Whether the last updates have been taken, here and by those that need this home for them. Who
  /// has been away for the grace, or for the outage and 10 s, is waited for no longer.
  bool finished(Time now) const;
  /// Whether somebody who is there, or may be back, still has something to say before finished()
  /// can be true.
  bool waits_for_somebody(Time now) const;
  /// Of an island that has begun anew: whether it has the weights that the others have.
  bool caught_up() const;
  /// What keeps it from that, for a log; none if nothing does.
  std::optional<std::string> still_missing() const;
  /// Everybody has begun anew, so what training has made is lost.
  bool nobody_knows() const;
  bool is_alone() const { return present_.empty(); }
  /// Due dates from one telling of a fragment to the next; the most of all fragments.
  std::uint32_t longest_pace() const;
  std::uint32_t usual_pace() const { return usual_pace_; }

 private:
  struct Side {
    LocalFragment local;
    Coder coder;
    OuterOptimizer outer;                       ///< elsewhere: as the home's; else of nothing
    std::uint64_t home_version = 0;             ///< elsewhere: as the home said when we met
    std::map<std::uint64_t, Time> told_when{};  ///< elsewhere: what is not counted
    Duration ahead{};                           ///< elsewhere: as the home says of the next update
    std::unique_ptr<HomeFragment> home{};       ///< if it is here
    bool ready = true;                          ///< here: false while the others may know more
    Time home_since{};                          ///< since when it is where it is
    bool informed = true;                       ///< here: somebody knows what training has made
    std::map<std::uint32_t, std::uint64_t> joined{};  ///< here: islands, with what version
    std::set<std::uint32_t> asked{};             ///< here: who knew more, and has not answered yet
    std::set<std::uint32_t> early{};             ///< who joined before this was the home
    std::map<std::uint32_t, Time> brought_at{};  ///< here: when an island's last telling came
    std::set<std::uint32_t> done{};              ///< here: islands that have taken the last update
    Pace pace{1, 1};                             ///< here
    std::uint32_t every = 1;                     ///< of due dates, as the home has it
    std::uint64_t dues = 0;                      ///< that were; islands count alike
    std::uint64_t told_at = 0;                   ///< of these
    Time last_due{};
    Duration due_every{};
    std::optional<std::vector<float>> waiting{};  ///< weights of the last telling, until it is made
    bool settled = false;                         ///< the last update was taken
  };

  OuterSettings outer() const { return {local_.outer_learning_rate, local_.outer_momentum}; }
  Coder make_coder(std::uint32_t fragment) const { return {codec_, fragments_.parts(fragment)}; }
  Result<bool> mean_of(const node::Letter& update);
  Status step_along(const node::Letter& update);

  bool is_told(std::uint32_t fragment, Time now);
  void look_at_line(std::uint32_t fragment, const node::Letter& update, Time now);
  void send_ahead(std::uint32_t island, std::uint32_t fragment, Duration lead);
  std::size_t homes_elsewhere() const;
  void set_pace(std::uint32_t fragment, std::uint32_t every);
  void send_pace(std::uint32_t island, std::uint32_t fragment);
  void send_hurry(std::uint32_t fragment);
  Status paced(const node::Letter& letter);
  void make_telling(std::uint32_t fragment, std::span<const float> weights, bool last, Time now);
  void tell_last(std::uint32_t fragment, Time now);
  void send_telling(std::uint32_t fragment, const Told& telling);
  Duration patience() const;
  bool may_return(Time now) const;
  Status open(std::uint32_t island, const node::Letter& letter, Time now);
  Status updated(const node::Letter& letter, bool last, Time now);
  void send_update(std::uint32_t island, std::uint32_t fragment, const HomeFragment::Update& update,
                   Duration waited);
  void taken_last(std::uint32_t fragment, bool last);

  /// None while this island, which has begun anew, has not heard.
  std::optional<std::uint32_t> home_of(std::uint32_t fragment) const;
  bool is_home(std::uint32_t fragment) const { return home_of(fragment) == island_.index; }
  void send_home(node::Letter letter);
  void make_home(std::uint32_t fragment);
  void home_moved(std::uint32_t fragment, Time now);
  void take_home(std::uint32_t fragment);
  bool is_caught_up(std::uint32_t fragment) const;
  bool may_open(const Side& side, Time now) const;
  void open_home(std::uint32_t fragment, Time now);
  void changed(std::uint32_t island, bool present, Time now);
  bool is_given_up(std::uint32_t fragment, Time now) const;
  void join(std::uint32_t fragment);
  bool is_of_homes_before(const node::Letter& letter) const;
  Status joined(std::uint32_t island, const node::Letter& letter);
  void welcome(std::uint32_t island, std::uint32_t fragment, std::uint64_t known);
  void send_have(std::uint32_t island, std::uint32_t fragment);
  Status met(const node::Letter& letter, Time now);
  Status read_state(const node::Letter& letter);
  void send_snapshot(std::uint32_t island, std::uint32_t fragment);
  Status snapshot(const node::Letter& letter);
  void send_replica(std::uint32_t island, std::uint32_t fragment);
  Status replica(std::uint32_t island, const node::Letter& letter);

  const job::LocalSteps local_;
  const job::Island island_;
  const codec::EdgeCodec codec_;
  const bool passes_on_;  ///< what was told; else updates carry the mean of it
  const Fragments& fragments_;
  const SendLetter send_;
  const std::uint32_t usual_pace_;  ///< due dates in the job's interval
  std::uint32_t hurries_ = 0;       ///< that this island has asked for
  std::uint64_t done_ = 0;          ///< of the job, of 2^32
  Lead lead_;
  const Time late_;  ///< from then on nobody is waited for who has not come
  std::vector<Side> sides_;
  std::vector<std::optional<job::Home>> homes_;  ///< by the island at which fragments began
  std::set<std::uint32_t> company_;              ///< who trains, whether a channel is there or not
  std::set<std::uint32_t> present_;
  std::map<std::uint32_t, Time> away_;                       ///< since when
  std::set<std::pair<std::uint32_t, std::uint32_t>> joins_;  ///< islands and fragments, just now
  // Of what is read just now.
  Contributions contributions_;
  bool ends_ = false;  ///< somebody's last is in it
  std::vector<float> change_, velocity_;
};

}  // namespace reef::actors
