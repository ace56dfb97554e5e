#include "actors/metrics/metrics.h"

#include <filesystem>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>

#include "actors/model/loss.h"
#include "actors/store/local_steps/post.h"
#include "scheduler/plan/leaf_order.h"

namespace reef::actors {
namespace {

/// act record r: report of replica r's loss; last act norm: report of replica 0's clip norm.
class Metrics final : public Task {
 public:
  Metrics(const TaskSetup& setup, std::ofstream file)
      : setup_(setup),
        order_(setup.plan),
        student_(setup.job.distillation.has_value()),
        file_(std::move(file)),
        last_time_(setup.clock.now()),
        first_time_(last_time_) {}

  Status run(Firing& firing) override {
    const Token& token = *firing.inputs[0];
    Sums& sums = rounds_[token.round.number];
    if (sums.losses.empty()) sums.losses.resize(setup_.plan.leaves * setup_.plan.context);
    sums.round = token.round;
    if (firing.act < setup_.plan.replicas) {
      const auto replica = static_cast<std::uint32_t>(firing.act);
      if (token.micro >= order_.micro_batches(replica) ||
          token.scalars.size() != 2 + (student_ ? kLessonReport : 0))
        return Error{Code::kProto, "metrics", "a loss that belongs to no leaf of its replica"};
      sums.losses[place_of(replica, token.micro)] = token.scalars[0];
      sums.tokens += token.scalars[1];
      if (student_) add_lesson(sums, replica, token);
      sums.reports += 1;
    } else {
      if (!token.empty) sums.norm = token.scalars.at(1);
      sums.has_norm = true;
    }
    // Rounds finish in order, because every act fires in every round.
    while (!rounds_.empty() && finished(rounds_.begin()->second)) {
      finish(rounds_.begin()->second);
      rounds_.erase(rounds_.begin());
    }
    if (!file_) return Error{Code::kIo, setup_.run_folder + "/metrics.jsonl", "cannot be written"};
    return {};
  }

 private:
  struct Sums {
    Round round;
    /// By leaf, and those who share its sequences, so that the sum does not depend on who reported
    /// first.
    std::vector<double> losses;
    double tokens = 0;
    double norm = 0;
    std::uint32_t reports = 0;
    bool has_norm = false;
    std::vector<double> distilled;  ///< of a student, as losses
    double taught = 0, asked = 0, answer_bytes = 0;
  };

  void add_lesson(Sums& sums, std::uint32_t replica, const Token& token) const {
    sums.distilled.resize(sums.losses.size());
    sums.distilled[place_of(replica, token.micro)] = token.scalars[2];
    sums.taught += token.scalars[3];
    sums.asked += token.scalars[4];
    sums.answer_bytes += token.scalars[5];
  }

  std::size_t place_of(std::uint32_t replica, std::uint32_t micro) const {
    return order_.leaf(replica, micro) * setup_.plan.context + replica % setup_.plan.context;
  }

  bool of_island() const { return setup_.job.island && setup_.post != nullptr; }

  bool finished(const Sums& sums) const {
    return sums.reports == sums.losses.size() && sums.has_norm;
  }

  /// Peers may count no target at all.
  static double mean(double sum, double tokens) { return tokens > 0 ? sum / tokens : 0; }

  void finish(const Sums& sums) {
    double loss = 0;
    for (const double leaf : sums.losses) loss += leaf;
    node::Progress progress;
    progress.round = sums.round;
    progress.loss = mean(loss, sums.tokens);
    if (sums.round.training()) {
      progress.gradient_norm = sums.norm;
      progress.learning_rate =
          job::learning_rate(setup_.job.optimizer, sums.round.step, setup_.job.training.steps);
      progress.tokens = static_cast<std::uint64_t>(sums.tokens);
    } else if (!sums.round.settling) {
      evaluation_loss_ += loss;
      evaluation_tokens_ += sums.tokens;
      progress.evaluated = sums.round.evaluation == setup_.job.evaluation.rounds;
      if (progress.evaluated) {
        progress.evaluation_loss =
            mean(std::exchange(evaluation_loss_, 0), std::exchange(evaluation_tokens_, 0));
        if (of_island()) setup_.post->evaluated(progress.evaluation_loss);
      }
    }
    write(progress, sums);
    setup_.events.progress(progress);
  }

  void write(const node::Progress& progress, const Sums& sums) {
    const Time now = setup_.clock.now();
    const double took = seconds(now - std::exchange(last_time_, now));
    nlohmann::ordered_json line;
    line["step"] = progress.round.step;
    if (progress.round.training()) {
      line["loss"] = progress.loss;
      if (student_) {
        double distilled = 0;
        for (const double leaf : sums.distilled) distilled += leaf;
        line["distillation_loss"] = mean(distilled, sums.taught);
        line["taught"] = mean(sums.taught, sums.asked);
        line["answer_bytes"] = static_cast<std::uint64_t>(sums.answer_bytes);
      }
      line["gradient_norm"] = progress.gradient_norm;
      line["learning_rate"] = progress.learning_rate;
      line["tokens_per_second"] = took > 0 ? static_cast<double>(progress.tokens) / took : 0.0;
      if (of_island()) line["inner_steps"] = setup_.post->interval();
    } else if (progress.evaluated) {
      line["validation_loss"] = progress.evaluation_loss;
    } else {
      return;
    }
    line["seconds"] = seconds(now - first_time_);
    file_ << line.dump() << '\n' << std::flush;
  }

  const TaskSetup setup_;
  plan::LeafOrder order_;
  bool student_;
  std::ofstream file_;
  std::map<std::uint64_t, Sums> rounds_;
  double evaluation_loss_ = 0;
  double evaluation_tokens_ = 0;
  Time last_time_;
  Time first_time_;
};

}  // namespace

Result<std::unique_ptr<Task>> make_metrics(const TaskSetup& setup, const plan::Actor&) {
  std::error_code failure;
  std::filesystem::create_directories(setup.run_folder, failure);
  const std::string path = setup.run_folder + "/metrics.jsonl";
  std::ofstream file(path, std::ios::app);
  if (!file) return Error{Code::kPath, path, "cannot be written"};
  return std::unique_ptr<Task>(std::make_unique<Metrics>(setup, std::move(file)));
}

}  // namespace reef::actors
