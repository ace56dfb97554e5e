#pragma once
// A teacher's desk: where what students ask waits, is held against the terms of the service, and is
// answered, many sequences in one forward pass. It knows no channel, no actor and no model's
// layers.

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <unordered_map>
#include <vector>

#include "actors/teach/answer_cache.h"
#include "actors/teach/privacy.h"
#include "actors/teach/rate_limit.h"
#include "actors/teach/speech.h"
#include "ops/tensor/tensor.h"
#include "runtime/base/clock.h"
#include "runtime/node/letter.h"

namespace reef::actors {

/// A student's number, as the scheduler gives it to a teacher: which of the jobs that the teacher
/// serves, and which of the cluster's nodes.
inline constexpr std::uint32_t kStudentNodeBits = 16;

/// Of all that was done.
struct Served {
  std::uint64_t asks = 0, refused = 0;
  std::uint64_t positions = 0;  ///< answered
  std::uint64_t cached = 0;     ///< of these, from the cache
  std::uint64_t bytes = 0;      ///< of answers
};

/// What lets an account outlive a desk.
struct Spending {
  double before = 0;  ///< rho, of services before this one
  /// Keeps what this one has spent, before it leaves. None: it need not be kept.
  std::function<Status(const PrivacyAccount&)> keep;
};

/// Thread: one. Memory: at most kMostWaiting asks and kMostWaitingTokens tokens of a student, the
/// answers to kTokensAtOnce tokens and one ask more, the cache, and the logits of one batch.
/// Failure: what a student may not ask is refused in words; nothing that it sends ends the service.
class Desk {
 public:
  static constexpr std::size_t kMostWaiting = 64;
  static constexpr std::size_t kMostWaitingTokens = 2 * job::kMostAsked;
  static constexpr std::size_t kTokensAtOnce = 1 << 16;  ///< so that a stop is soon seen

  struct Model {
    std::int64_t vocabulary = 0;
    std::size_t longest = 0;  ///< tokens of a sequence
    std::size_t batch = 0;  ///< tokens of a forward pass, padding with them; one sequence at least
    /// Logits f32 (rows, tokens, vocabulary) in host memory, which the caller may change. Rows are
    /// filled up behind their sequences.
    std::function<ops::Tensor(const std::vector<std::vector<std::int32_t>>&)> logits;
    /// Runs tasks side by side.
    std::function<void(std::size_t, const std::function<void(std::size_t)>&)> parallel;
  };
  using Reply = std::function<void(std::uint32_t student, node::Letter)>;

  /// `serves` outlives the desk. `noise` has a key that is used nowhere else.
  Desk(const job::Serves& serves, Model model, Reply reply, Random noise, Time now,
       Spending spending = {});

  /// What a lost student asked is forgotten.
  void lost(std::uint32_t student);
  void take(std::uint32_t student, node::Letter letter);
  /// Answers all that may be answered now. Returns how long nothing else may be, if nothing comes.
  Duration serve(Time now);

  const Served& served() const { return served_; }
  const PrivacyAccount& account() const { return account_; }
  /// Positions that each of the jobs was answered.
  const std::vector<std::uint64_t>& of_jobs() const { return of_jobs_; }

 private:
  struct Waiting {
    std::uint64_t number = 0;
    std::size_t tokens = 0;
    Ask ask;
  };
  /// A sequence that must be thought about.
  struct Thought {
    Question question;
    std::uint64_t first_row = 0;  ///< of the noise
    Bytes answer;                 ///< empty: the model gave no numbers
  };
  /// Each question once.
  struct Thoughts {
    std::vector<Thought> all;
    std::unordered_multimap<std::size_t, std::size_t> places;  ///< by hash

    /// Its index; all.size() if it is not there.
    std::size_t find(const Question& question) const;
    void add(Question question, std::uint64_t first_row);
    void cut_back(std::size_t size);
  };
  /// An ask on its way to an answer: of each sequence what is in the cache, or the thought that
  /// will be.
  struct Draft {
    std::uint32_t student = 0;
    std::uint64_t number = 0;
    std::vector<Bytes> parts;
    std::vector<std::optional<std::size_t>> thoughts;
    std::uint64_t positions = 0, cached = 0;
  };

  void refuse(std::uint32_t student, std::uint64_t number, const std::string& why);
  void admit(Time now, std::vector<Draft>& drafts, Thoughts& thoughts);
  void keep_account(std::vector<Draft>& drafts, Thoughts& thoughts);
  void draft(std::uint32_t student, Waiting waiting, std::vector<Draft>& drafts,
             Thoughts& thoughts);
  void think(std::vector<Thought>& thoughts);
  void think(std::span<Thought* const> batch);
  Bytes say(std::span<float> logits, const Thought& thought) const;
  void answer(Draft& draft, const std::vector<Thought>& thoughts);
  RateLimit& limit_of(std::uint32_t student) { return limits_[student >> kStudentNodeBits]; }

  const job::Serves& serves_;
  const Model model_;
  const Reply reply_;
  const Random noise_;
  std::uint64_t next_row_ = 0;
  std::vector<RateLimit> limits_;                         ///< by job
  std::map<std::uint32_t, std::deque<Waiting>> waiting_;  ///< by student
  std::uint32_t next_student_ = 0;                        ///< whose turn it is
  AnswerCache cache_;
  const Spending spending_;
  PrivacyAccount account_;
  std::uint64_t kept_ = 0;  ///< positions of the account
  Served served_;
  std::vector<std::uint64_t> of_jobs_;
};

}  // namespace reef::actors
