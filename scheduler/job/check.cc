#include "scheduler/job/check.h"

#include <algorithm>
#include <bit>
#include <numeric>

#include "ops/codec/edge.h"
#include "ops/nn/context_share.h"
#include "ops/nn/tensor_rank.h"
#include "runtime/base/units.h"
#include "scheduler/cost/cost.h"

namespace reef::job {
namespace {

std::string text(std::int64_t value) { return std::to_string(value); }

/// Sums of gradients go round a ring, where an error would grow at each rank.
bool activations_are_exact(const Job& job) {
  const auto activations = codec::parse_edge(job.codecs.activations);
  return std::holds_alternative<codec::Codec>(*activations) &&
         !cost::codec_is_lossy(job.codecs.activations, ops::DType::kF32);
}

/// Whether ranks can pass sums of activations through the codec: not where each would choose, and
/// what rounds bf16 has no way back.
bool sums_agree(const Job& job) {
  const std::string& codec = job.codecs.activations;
  if (!std::holds_alternative<codec::Codec>(codec::parse_edge(codec).value())) return false;
  return job.training.precision == nn::Precision::kF32 ||
         !cost::codec_is_lossy(codec, ops::DType::kBF16);
}

bool remembers(const Job& job) {
  return codec::has_feedback(codec::parse_edge(job.codecs.gradients).value());
}

class Check {
 public:
  Check(const Job& job, const Document& document) : job_(job), document_(document) {}

  Status model() const {
    if (const auto* gpt = std::get_if<nn::GptConfig>(&job_.model)) {
      ATOLL_TRY(parts({"n_embd", gpt->n_embd}, {"n_head", gpt->n_head}));
    } else {
      const auto& llama = std::get<nn::LlamaConfig>(job_.model);
      const Named heads{"num_attention_heads", llama.num_attention_heads};
      ATOLL_TRY(parts({"hidden_size", llama.hidden_size}, heads));
      ATOLL_TRY(parts(heads, {"num_key_value_heads", llama.key_value_heads()}));
    }
    if (const std::string problem = nn::problem_of(job_.model); !problem.empty())
      return no("/spec/model", problem);
    return {};
  }

  Status training() const {
    const Training& training = job_.training;
    const std::int64_t longest = nn::longest_context_of(job_.model);
    if (training.context > longest) {
      return no("/spec/training/context",
                "context " + text(training.context) + " is longer than the model's " +
                    std::string(nn::longest_context_name(job_.model)) + " " + text(longest));
    }
    if (!std::has_single_bit(training.leaves)) {
      return no("/spec/training/leaves", text(training.leaves) +
                                             " is not a power of two; the nearest are " +
                                             text(std::bit_floor(training.leaves)) + " and " +
                                             text(std::bit_ceil(training.leaves)));
    }
    return {};
  }

  Status optimizer() const {
    const Optimizer& optimizer = job_.optimizer;
    if (optimizer.warmup_steps >= job_.training.steps) {
      return no("/spec/optimizer/warmupSteps",
                std::to_string(optimizer.warmup_steps) + " warm-up steps but " +
                    std::to_string(job_.training.steps) + " steps in all; warm-up must be shorter");
    }
    if (optimizer.minimum_learning_rate > optimizer.learning_rate) {
      return no("/spec/optimizer/minimumLearningRate", "is greater than learningRate");
    }
    return {};
  }

  Status parallelism() const {
    const std::uint32_t dp = job_.parallelism.dp, stages = job_.parallelism.stages();
    const std::int64_t blocks = nn::blocks_of(job_.model);
    const std::int64_t layers = 2 * blocks + 2;
    if (stages > layers) {
      return no("/spec/parallelism/pp",
                text(stages) + " stages but " + text(layers) + " layers (embedding, " +
                    text(blocks) + (blocks == 1 ? " block of 2, head)" : " blocks of 2, head)"));
    }
    const auto& cut = job_.parallelism.layers;
    const std::int64_t dealt = std::accumulate(cut.begin(), cut.end(), std::int64_t{0});
    if (!cut.empty() && (cut.size() != stages || dealt != layers)) {
      return no("/spec/parallelism/layers", text(static_cast<std::int64_t>(cut.size())) +
                                                " stages with " + text(dealt) +
                                                " layers, but there are " + text(stages) +
                                                " stages and " + text(layers) + " layers");
    }
    if (job_.parallelism.schedule.stages_per_device > 1 && job_.parallelism.pp == 1) {
      return no("/spec/parallelism/schedule",
                "one device has nothing to interleave with; raise pp or leave the schedule out");
    }
    ATOLL_TRY(power_of_two("/spec/parallelism/dp", dp));
    if (dp > job_.training.leaves) {
      return no("/spec/parallelism/dp", text(dp) + " replicas but " + text(job_.training.leaves) +
                                            " leaves; each replica needs at least one");
    }
    ATOLL_TRY(micro_batches());
    if (const std::string problem = problem_of_gathering(job_.parallelism); !problem.empty())
      return no("/spec/parallelism/zero_stage", problem);
    return ranks();
  }

  Status micro_batches() const {
    const Parallelism& parallelism = job_.parallelism;
    const auto& counts = parallelism.micro_batches;
    if (counts.empty()) return {};
    const std::int64_t dealt = std::accumulate(counts.begin(), counts.end(), std::int64_t{0});
    if (counts.size() != parallelism.dp || dealt != job_.training.leaves) {
      return no("/spec/parallelism/micro_batches",
                text(static_cast<std::int64_t>(counts.size())) + " counts with " + text(dealt) +
                    " in all, but there are dp " + text(parallelism.dp) + " copies and " +
                    text(job_.training.leaves) + " leaves");
    }
    if (!parallelism.is_uneven() || parallelism.zero_stage < 2) return {};
    return no("/spec/parallelism/micro_batches", "are unequal, but with zero_stage " +
                                                     text(parallelism.zero_stage) +
                                                     " copies meet after each; use zero_stage 1");
  }

  Status ranks() const {
    const std::uint32_t tp = job_.parallelism.tp;
    ATOLL_TRY(power_of_two("/spec/parallelism/tp", tp));
    const std::string problem = nn::problem_of(job_.model, tp);
    return problem.empty() ? context() : no("/spec/parallelism/tp", problem);
  }

  Status context() const {
    const Parallelism& parallelism = job_.parallelism;
    if (parallelism.cp == 1) return {};
    ATOLL_TRY(power_of_two("/spec/parallelism/cp", parallelism.cp));
    if (parallelism.replicas() > kMostReplicas) {
      return no("/spec/parallelism/cp",
                text(parallelism.dp) + " copies of the model x " + text(parallelism.cp) +
                    " ranks of a context are more than " + text(kMostReplicas) +
                    " replicas; use a smaller dp or cp");
    }
    const std::string problem =
        nn::problem_of_context(job_.model, parallelism.cp, job_.training.context);
    if (!problem.empty()) return no("/spec/parallelism/cp", problem);
    if (parallelism.recompute == nn::Recompute::kFull) {
      return no("/spec/parallelism/recompute",
                "full would have ranks that share sequences exchange keys and values once more; "
                "use selective, or cp 1");
    }
    return {};
  }

  Status codecs() const {
    ATOLL_TRY(codec("/spec/codecs/activations", job_.codecs.activations, false));
    ATOLL_TRY(codec("/spec/codecs/gradients", job_.codecs.gradients, true));
    const auto gradients = codec::parse_edge(job_.codecs.gradients);
    if (job_.parallelism.zero_stage > 0 && remembers(job_)) {
      return no("/spec/codecs/gradients",
                job_.codecs.gradients + " remembers whole gradients, of which zero_stage " +
                    text(job_.parallelism.zero_stage) +
                    " sends each replica only its own part; use zero_stage 0, or a codec without "
                    "feedback, such as int8+zstd");
    }
    if (job_.parallelism.tp > 1) ATOLL_TRY(shared_sums());
    if (job_.parallelism.cp > 1) ATOLL_TRY(shared_contexts());
    return {};
  }

  /// Ranks that add up activations must all see the same rounded numbers.
  Status shared_sums() const {
    if (!sums_agree(job_)) {
      return no("/spec/codecs/activations",
                job_.codecs.activations +
                    " cannot carry the sums of tensor-parallel ranks, which would see different "
                    "numbers; use none+zstd or bf16+zstd, or tp 1");
    }
    if (!remembers(job_)) return {};
    return no("/spec/codecs/gradients",
              job_.codecs.gradients +
                  " remembers whole gradients, of which tensor-parallel ranks have parts; use tp "
                  "1, or a codec without feedback, such as int8+zstd");
  }

  Status shared_contexts() const {
    if (activations_are_exact(job_)) return {};
    return no("/spec/codecs/activations",
              job_.codecs.activations +
                  " would round what ranks that share sequences hand on to each other; use none or "
                  "none+zstd, or cp 1");
  }

  Status local_steps() const {
    const LocalSteps* any = job_.automatic     ? &job_.automatic->local
                            : job_.local_steps ? &*job_.local_steps
                                               : nullptr;
    const bool blind = job_.evaluation.every == 0 || job_.evaluation.rounds == 0;
    if (any != nullptr && any->loss_guard > 0 && blind) {
      return no("/spec/datacenters/loss_guard",
                "has no held-out losses to look at; set evaluation.every and rounds, or leave it "
                "out");
    }
    if (!job_.local_steps) return {};
    const LocalSteps& local = *job_.local_steps;
    if (local.fragments > local.inner_steps) {
      return no("/spec/datacenters/fragments",
                text(local.fragments) + " fragments, but only " +
                    std::to_string(local.inner_steps) +
                    " inner steps, after each of which at most one is told");
    }
    ATOLL_TRY(codec("/spec/datacenters/codec", local.codec, true));
    if (std::holds_alternative<codec::Automatic>(codec::parse_edge(local.codec).value())) {
      return no("/spec/datacenters/codec",
                local.codec + " measures a line inside a job; use int4+zstd or another by name");
    }
    if (job_.island && job_.island->index >= job_.island->count())
      return no("/spec/datacenters/island/index", "there are fewer islands");
    return {};
  }

  /// The loss is held against teachers where whole rows of logits of whole sequences are.
  Status distillation() const {
    if (!job_.distillation) return {};
    const Distillation& distillation = *job_.distillation;
    const std::string pointer = "/spec/distillation";
    for (std::size_t i = 0; i < distillation.teachers.size(); ++i) {
      const Teacher& teacher = distillation.teachers[i];
      const auto same = [&](const Teacher& other) {
        return other.job == teacher.job && other.side == teacher.side;
      };
      const std::string place = pointer + "/teachers/" + std::to_string(i) + "/job";
      if (std::ranges::count_if(distillation.teachers, same) > 1)
        return no(place, teacher.job + " is asked twice about the same side");
      if (teacher.job == job_.name) return no(place, "is this job; it cannot teach itself");
    }
    if (distillation.top_k > nn::vocabulary_of(job_.model)) {
      return no(pointer + "/topK", text(distillation.top_k) + " tokens of a vocabulary of " +
                                       text(nn::vocabulary_of(job_.model)));
    }
    const std::string with = job_.local_steps          ? "datacenters: {mode: local_steps}"
                             : job_.parallelism.tp > 1 ? "tp " + text(job_.parallelism.tp)
                             : job_.parallelism.cp > 1 ? "cp " + text(job_.parallelism.cp)
                                                       : "";
    if (!with.empty())
      return no(pointer, "does not go together with " + with + "; use dp, pp and zero_stage");
    const std::uint64_t asked =
        std::uint64_t{job_.training.sequences_per_leaf} * job_.training.context;
    const std::uint64_t answer =
        asked * said_bytes(distillation.top_k, distillation.values, nn::vocabulary_of(job_.model));
    if (asked > kMostAsked || answer > kMostAnswer) {
      return no(pointer,
                "asks about " + text(asked) + " tokens of a micro-batch and is answered in " +
                    format_size(answer) + "; limit " + text(kMostAsked) + " tokens and " +
                    format_size(kMostAnswer) + ", so lower topK or spec.training.sequencesPerLeaf");
    }
    return {};
  }

  Status serves() const {
    const Serves& serves = *job_.serves;
    const std::string pointer = "/spec/serves";
    for (std::size_t i = 0; i < serves.jobs.size(); ++i) {
      if (std::ranges::count(serves.jobs, serves.jobs[i]) > 1)
        return no(pointer + "/jobs/" + std::to_string(i), serves.jobs[i] + " is listed twice");
    }
    if (serves.noise > 0 && serves.clip == 0)
      return no(pointer + "/noise", "is a multiple of clip, which is not said; say clip: 10");
    if (serves.epsilon > 0 && serves.noise == 0)
      return no(pointer + "/epsilon", "cannot be promised without noise; say clip and noise");
    return {};
  }

  Status others() const {
    if (job_.peer_timeout < std::chrono::milliseconds(100)) {
      return no("/spec/peerTimeout",
                "is less than 100ms; a slow line would be taken for a dead peer");
    }
    return {};
  }

 private:
  static constexpr std::uint32_t kMostReplicas = 1024;  ///< as the schema has it of dp

  struct Named {
    std::string name;
    std::int64_t value;
  };
  /// `whole` must be a multiple of `count`; zeros are the schema's business.
  Status parts(const Named& whole, const Named& count) const {
    if (count.value <= 0 || whole.value % count.value == 0) return {};
    return no("/spec/model/" + count.name,
              whole.name + " " + text(whole.value) + " is not a multiple of " + count.name + " " +
                  text(count.value) + "; " + text(whole.value) + " = " +
                  text(whole.value / count.value) + " x " + text(count.value) + " + " +
                  text(whole.value % count.value));
  }
  Status power_of_two(const std::string& pointer, std::uint32_t count) const {
    if (std::has_single_bit(count)) return {};
    return no(pointer, text(count) + " is not a power of two; the nearest are " +
                           text(std::bit_floor(count)) + " and " + text(std::bit_ceil(count)));
  }
  Status codec(const std::string& pointer, const std::string& name, bool feedback) const {
    const auto known = codec::parse_edge(name);
    if (!known.ok()) return no(pointer, known.error().what);
    if (feedback || !codec::has_feedback(*known)) return {};
    return no(pointer, name +
                           " is for gradients, whose remainder the next step sends; use a codec "
                           "without feedback, such as int8+zstd or auto:0.01");
  }

  Error no(const std::string& pointer, const std::string& what) const {
    return complaint(document_, Code::kJobValue, pointer, what);
  }

  const Job& job_;
  const Document& document_;
};

}  // namespace

bool can_share_layers(const Job& job, std::uint32_t ranks) {
  return ranks == 1 || (!job.distillation && nn::problem_of(job.model, ranks).empty() &&
                        sums_agree(job) && !remembers(job));
}

bool can_share_sequences(const Job& job, std::uint32_t replicas) {
  return replicas == 1 ||
         (!job.distillation &&
          nn::problem_of_context(job.model, replicas, job.training.context).empty() &&
          activations_are_exact(job));
}

std::string problem_of_gathering(const Parallelism& parallelism) {
  if (!parallelism.shares_weights()) return {};
  const std::string what = parallelism.tp > 1   ? "tp " + text(parallelism.tp)
                           : parallelism.cp > 1 ? "cp " + text(parallelism.cp)
                           : parallelism.schedule.kind == Schedule::Kind::kZeroBubble
                               ? "schedule zero-bubble"
                               : "";
  if (what.empty()) return {};
  return "3 gathers weights for one group of layers after the other, forward and then backward, "
         "but "
         "with " +
         what + " layers wait for others in between; use zero_stage 2, or leave " +
         what.substr(0, what.find(' ')) + " out";
}

bool can_share_state(const Job& job) { return !remembers(job); }

Status check_values(const Job& job, const Document& document) {
  const Check check(job, document);
  ATOLL_TRY(check.model());
  ATOLL_TRY(check.training());
  ATOLL_TRY(check.optimizer());
  ATOLL_TRY(check.parallelism());
  ATOLL_TRY(check.codecs());
  ATOLL_TRY(check.local_steps());
  ATOLL_TRY(check.distillation());
  return check.others();
}

Status check_teacher(const Job& job, const Document& document) {
  const Check check(job, document);
  ATOLL_TRY(check.model());
  ATOLL_TRY(check.serves());
  return check.others();
}

}  // namespace reef::job
