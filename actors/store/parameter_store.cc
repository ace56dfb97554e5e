#include "actors/store/parameter_store.h"

namespace reef::actors {
namespace {

/// snapshot -> part
class ParameterStore final : public Task {
 public:
  Status run(Firing& firing) override {
    const Token& snapshot = *firing.inputs[0];
    if (!snapshot.empty) version_ = snapshot;
    *firing.outputs[0] = snapshot;
    return {};
  }

 private:
  Token version_;  ///< the last published one: weights and moments; round.step is its number
};

}  // namespace

Result<std::unique_ptr<Task>> make_parameter_store(const TaskSetup&, const plan::Actor&) {
  return std::unique_ptr<Task>(std::make_unique<ParameterStore>());
}

}  // namespace reef::actors
