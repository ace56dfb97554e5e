#pragma once
// What a student has asked its teachers and what they said: asked when a micro-batch's tokens come,
// heard when its logits are there, so that a forward pass lies between.

#include <condition_variable>
#include <cstdint>
#include <functional>
#include <map>
#include <mutex>
#include <span>
#include <utility>
#include <vector>

#include "actors/store/local_steps/post.h"
#include "actors/teach/sides.h"
#include "actors/teach/speech.h"
#include "runtime/base/round.h"
#include "scheduler/job/job.h"

namespace reef::actors {

/// Which of the job's distillation.teachers a channel leads to, by the number that the scheduler
/// gives it: that of the first entry with this teacher's name.
std::uint32_t teacher_number(const job::Distillation& distillation, std::size_t entry);

/// Thread: any; ask() of the io stream, hear() of the device's, which is the only reader of the
/// post. Order: hear() of a micro-batch comes after its ask(). Memory: what is under way, which the
/// plan's slots bound. Failure: a teacher that is not there, that refuses or that says what cannot
/// be is gone on without; nothing that it sends ends the job.
class Lessons {
 public:
  using Send = std::function<bool(std::uint32_t teacher, node::Letter)>;

  /// What one teacher said of a micro-batch. Positions one after the other.
  struct Lesson {
    std::vector<std::size_t> places;  ///< rows of the logits, each once
    Said said;                        ///< probabilities of these
  };
  struct Heard {
    std::vector<std::optional<Lesson>> lessons;  ///< by entry of distillation.teachers
    std::uint64_t asked = 0, bytes = 0;          ///< places; of answers
  };

  /// All outlive the lessons.
  /// `epoch`: of this run of the job, so that its numbers are no earlier run's.
  Lessons(const job::Job& job, std::uint64_t epoch, Send send, Post& post, const Clock& clock);

  /// A micro-batch of this job; replicas of one node have lessons in common.
  struct Batch {
    std::uint64_t round = 0;
    std::uint32_t replica = 0;
    std::uint32_t micro = 0;
    auto operator<=>(const Batch&) const = default;
  };

  /// `tokens` and `targets` of the micro-batch: whole windows.
  void ask(const Batch& batch, std::span<const std::int32_t> tokens,
           std::span<const std::int32_t> targets);
  /// Waits for whoever is there, and has not been waited for in vain since it was, as long as the
  /// job's patience. Nothing asked: nothing heard.
  Heard hear(const Batch& batch);

 private:
  struct Question {
    std::size_t entry = 0;
    std::uint64_t key = 0;  ///< of the micro-batch
    Bytes payload;
    std::vector<std::optional<std::size_t>> places;
    std::optional<Lesson> lesson;
    std::uint64_t bytes = 0;
    bool sent = false;  ///< over the channel that there is
    bool over = false;  ///< answered or refused
  };
  enum class Presence : std::uint8_t { kUnknown, kThere, kAway };

  void send(std::uint64_t number, Question& question);
  void take(std::vector<Post::Event> events);
  void changed(std::uint32_t teacher, bool present);
  void answered(std::uint32_t teacher, const node::Letter& letter);
  Status learn(Question& question, const node::Letter& letter) const;
  bool waits_for(const std::vector<std::uint64_t>& numbers) const;
  void give_up(const std::vector<std::uint64_t>& numbers);
  std::string name_of(std::uint32_t teacher) const;
  void complain(std::uint32_t teacher, const std::string& what);

  const job::Distillation& distillation_;
  const Manner manner_;
  const std::size_t window_;
  const Send send_;
  Post& post_;
  const Clock& clock_;
  std::mutex mutex_;  ///< guards all below
  std::uint64_t next_number_;
  std::map<std::uint64_t, Question> questions_;  ///< by number
  std::map<Batch, std::vector<std::uint64_t>> asked_;
  std::map<std::uint32_t, Presence> presence_;
  std::map<std::uint32_t, std::size_t> complaints_;
};

}  // namespace reef::actors
