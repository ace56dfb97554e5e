#pragma once
// How well a model foresees text that it was not trained on: what a run's evaluation rounds
// measure, for a model on disk.

#include <cstdint>
#include <filesystem>
#include <vector>

#include "ops/tensor/context.h"
#include "runtime/app/model_folder.h"
#include "runtime/app/words.h"
#include "runtime/base/error.h"

namespace reef::app {

struct HeldOutOptions {
  std::filesystem::path data;  ///< a folder of `atoll data prepare`
  std::size_t context = 0;     ///< tokens of a window; 0: the model's longest context, or of pairs
                               ///< the data's
  std::uint64_t windows = 0;   ///< from the first on, and over again; 0: each window once
};

struct HeldOutLoss {
  std::size_t context = 0;
  std::uint64_t windows = 0;
  std::uint64_t tokens = 0;  ///< targets that counted
  std::uint64_t bytes = 0;   ///< of text, in those targets
  double loss_sum = 0;       ///< in nats

  double per_token() const { return loss_sum / static_cast<double>(tokens); }
  double bits_per_byte() const;
};

/// The windows are those of a run's evaluation rounds, in their order: with the job's context and
/// `windows` = rounds x leaves x sequencesPerLeaf the loss is the run's, but for the order in which
/// it is added up. Of pairs the translations count. `words` are those of the data.
/// Failure: kData for data that is missing, too short or of more tokens than the model knows,
/// kUsage for a context that the model cannot take, kPoison for a loss that is not finite.
Result<HeldOutLoss> held_out_loss(ops::Context& context, const Model& model, const Words& words,
                                  const HeldOutOptions& options);

}  // namespace reef::app
