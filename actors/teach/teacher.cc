#include "actors/teach/teacher.h"

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <optional>
#include <random>

#include "actors/optimize/starting_values.h"
#include "actors/store/local_steps/post.h"
#include "actors/teach/desk.h"
#include "actors/teach/ledger.h"
#include "ops/functional/functional.h"
#include "ops/nn/stage.h"
#include "runtime/base/log.h"
#include "scheduler/plan/teaching.h"

namespace reef::actors {
namespace {

using ops::Tensor;

constexpr Duration kLongestWait = std::chrono::milliseconds(200);  ///< of an act, for letters
constexpr Duration kWriteEvery = std::chrono::seconds(1);

/// From the system, so that nobody can draw the noise again.
std::uint64_t secret_seed() {
  std::random_device device;
  return std::uint64_t{device()} << 32 | device();
}

class Teacher final : public Task {
 public:
  Teacher(const TaskSetup& setup, std::ofstream file, std::optional<PrivacyLedger> ledger)
      : setup_(setup),
        ledger_(std::move(ledger)),
        stage_(setup.model, 0, setup.model.layers.size()),
        vocabulary_(nn::vocabulary_of(setup.job.model)),
        file_(std::move(file)),
        begun_(setup.clock.now()),
        desk_(*setup.job.serves,
              {vocabulary_, setup.job.training.context, plan::teaching_batch(setup.job),
               [this](const auto& sequences) { return logits(sequences); },
               [this](std::size_t count, const std::function<void(std::size_t)>& task) {
                 ops::for_each_on_host(*context_, count, [&task](std::size_t i) { task(i); });
               }},
              [this](std::uint32_t student, node::Letter letter) {
                setup_.wire.send_letter(student, std::move(letter));
              },
              Random(secret_seed(), "what leaves"), begun_,
              {ledger_ ? ledger_->rho() : 0,
               [this](const PrivacyAccount& account) { return keep(account); }}) {}

  Status run(Firing& firing) override {
    context_ = &firing.context;
    if (weights_.empty()) ATOLL_TRY(read_weights());
    // What one student asks while another is answered is answered together.
    auto events = setup_.post->take(std::min(wait_, kLongestWait));
    const bool idle = events.empty();  // or told to stop
    for (Post::Event& event : events) {
      if (!event.present) {
        desk_.take(event.island, std::move(event.letter));
      } else if (!*event.present) {
        desk_.lost(event.island);
      }
    }
    wait_ = desk_.serve(setup_.clock.now());
    ATOLL_TRY(std::exchange(kept_, Status()));
    if (idle || setup_.clock.now() - written_ >= kWriteEvery) write();
    if (!file_) return Error{Code::kIo, setup_.run_folder + "/metrics.jsonl", "cannot be written"};
    return {};
  }

 private:
  Status keep(const PrivacyAccount& account) {
    if (ledger_) kept_ = ledger_->keep(account.spent(), account.positions());
    return kept_;
  }

  Status read_weights() {
    ATOLL_ASSIGN(const StartingValues begin, StartingValues::open(setup_.job));
    for (const nn::Parameter& parameter : stage_.parameters()) {
      const plan::HeldSlice whole{{parameter.name, 0, parameter.elements(), 0}, parameter};
      ATOLL_ASSIGN(const auto values, begin.of(*context_, whole));
      weights_[parameter.name] = ops::cast(*context_, values.master, parameter.dtype);
    }
    log_info("teacher " + setup_.job.name + " has its model");
    return {};
  }

  Tensor logits(const std::vector<std::vector<std::int32_t>>& sequences) const {
    const auto longer = [](const auto& a, const auto& b) { return a.size() < b.size(); };
    const std::size_t length = std::ranges::max_element(sequences, longer)->size();
    Tensor tokens = Tensor::zeros(
        ops::Pool::host(), ops::DType::kI32,
        {static_cast<std::int64_t>(sequences.size()), static_cast<std::int64_t>(length)});
    for (std::size_t r = 0; r < sequences.size(); ++r)
      std::ranges::copy(sequences[r], tokens.values<std::int32_t>().subspan(r * length).begin());
    const Tensor out = stage_.forward(*context_, weights_, ops::on_device(*context_, tokens),
                                      {.training = false}, nullptr);
    return ops::on_host(*context_, out);
  }

  /// A line of what was done so far, if there is news.
  void write() {
    written_ = setup_.clock.now();
    const Served& served = desk_.served();
    if (std::exchange(told_, served.asks + served.refused + served.positions) ==
        served.asks + served.refused + served.positions)
      return;
    nlohmann::ordered_json line;
    line["seconds"] = seconds(written_ - begun_);
    line["asks"] = served.asks;
    line["refused"] = served.refused;
    line["positions"] = served.positions;
    line["cached"] = served.cached;
    line["answer_bytes"] = served.bytes;
    line["logits_bytes"] = served.positions * 4 * static_cast<std::uint64_t>(vocabulary_);
    const PrivacyAccount& account = desk_.account();
    line["released"] = account.positions() + (ledger_ ? ledger_->positions() : 0);
    if (std::isfinite(account.rho())) {
      line["rho"] = account.rho();
      line["epsilon"] = account.epsilon();
      line["delta"] = setup_.job.serves->delta;
    }
    for (std::size_t i = 0; i < desk_.of_jobs().size(); ++i)
      line["jobs"][setup_.job.serves->jobs[i]] = desk_.of_jobs()[i];
    file_ << line.dump() << '\n' << std::flush;
  }

  const TaskSetup setup_;
  const std::optional<PrivacyLedger> ledger_;  ///< of one that promises something
  Status kept_;
  const nn::Stage stage_;
  const std::int64_t vocabulary_;
  std::ofstream file_;
  const Time begun_;
  nn::Parameters weights_;
  ops::Context* context_ = nullptr;  ///< of the act that runs
  Desk desk_;
  Duration wait_ = kLongestWait;
  Time written_{};
  std::uint64_t told_ = 0;
};

}  // namespace

Result<std::unique_ptr<Task>> make_teacher(const TaskSetup& setup, const plan::Actor& actor) {
  if (!setup.job.serves || setup.post == nullptr)
    return Error{Code::kProto, actor.name, "the job is no TeacherService"};
  std::error_code failure;
  std::filesystem::create_directories(setup.run_folder, failure);
  const std::string path = setup.run_folder + "/metrics.jsonl";
  std::ofstream file(path, std::ios::app);
  if (!file) return Error{Code::kPath, path, "cannot be written"};
  std::optional<PrivacyLedger> ledger;
  if (setup.job.serves->noise > 0) {
    ATOLL_ASSIGN(auto opened, PrivacyLedger::open(setup.job.model_from));
    ledger.emplace(std::move(opened));
  }
  return std::unique_ptr<Task>(
      std::make_unique<Teacher>(setup, std::move(file), std::move(ledger)));
}

}  // namespace reef::actors
