#pragma once
// A training state on disk, by logical tensor, so that any layout of ranks can load what any other
// saved.
//
//   step-00000100/
//     part-00000.safetensors   h.0.attn.c_attn.weight, h.0.attn.c_attn.weight.adam_m, ....adam_v
//     manifest.json            written last
//
// manifest.json: {"kind": "Checkpoint", "version": 1, "step", "job", "seed", "model": {...},
// "state": {...},
//   "parts": [{"file", "bytes", "sha256"}], "tensors": {"<name>": {"part": 0}}, "data": {"step"}}
//
// Where replicas share a tensor out, each has a run of its elements, in row-major order. Its part
// holds that run as a vector of the tensor's name, and version 2 of the manifest says
//   "<name>": {"shape": [768, 2304], "slices": [{"part": 0, "first": 0}, {"part": 2, "first":
//   1048576}]}
// Where tensor-parallel ranks share a tensor out, a run is one of a rank's part: of the elements in
// these ranges along the axis, as they follow each other there, {"part": 0, "first": 0, "axis": 1,
// "ranges": [[0, 64], [192, 64]]}, each range by its first index and its count. Then the version is
// 3; without slices it is 1.
//
// The folder is filled as ".step-00000100.tmp" and renamed when everything is on the disk: a folder
// with its final name is complete, and a damaged one is known by its hashes.

#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <mutex>
#include <nlohmann/json.hpp>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "actors/checkpoint/format/safetensors.h"
#include "actors/data/format/staged_folder.h"
#include "ops/nn/spec.h"
#include "runtime/base/error.h"

namespace reef::checkpoint {

inline constexpr std::string_view kAdamM = ".adam_m";
inline constexpr std::string_view kAdamV = ".adam_v";

inline constexpr std::string_view kResidual = ".residual.";  ///< "h.0.mlp.residual.r0.k1"
inline constexpr std::string_view kWarm = ".warm.";          ///< "s0.warm.r0.k1"

/// True for a name that belongs to the optimizer.
bool is_moment(std::string_view name);
/// True for a name that belongs to the model, not to the optimizer or to error feedback.
bool is_weight(std::string_view name);

/// "step-00000100".
std::string folder_name(std::uint64_t step);

/// What a checkpoint says beside its tensors. Random numbers and the data order are functions of
/// (seed, step), so those two are their whole state.
struct Description {
  std::uint64_t step = 0;
  std::string job;
  std::uint64_t seed = 0;
  nlohmann::json model =
      nlohmann::json::object();  ///< the model's configuration, as the job has it
  nlohmann::json state = nlohmann::json::object();  ///< whatever else a restart needs
  double pace = 1;  ///< steps of the job that wrote it for one of the user's (job::Job); in "state"
};

/// A run of a tensor's elements, or of those that a tensor-parallel rank has of it. The tensor's
/// other runs are in other parts.
struct TensorSlice {
  TensorView run;                    ///< a vector, under the tensor's name
  std::vector<std::uint64_t> shape;  ///< of the tensor
  std::uint64_t first = 0;           ///< element
  std::optional<nn::Part> of = {};   ///< the rank's part; none: the tensor
};

/// Writes one checkpoint. Thread: one. Failure: destroyed before commit() it leaves nothing behind.
class CheckpointWriter {
 public:
  /// `checkpoints` is the run's folder of checkpoints; it is made when absent.
  static Result<CheckpointWriter> begin(const std::filesystem::path& checkpoints,
                                        std::uint64_t step);

  /// Writes one part and synchronises it. The bytes are yours again on return. kTensor for a name
  /// that another part has.
  Status add_part(const std::vector<TensorView>& tensors);
  /// The same of runs; one that is all of its tensor is written as the tensor. Whether the parts
  /// together hold all of each tensor is seen when they are read.
  Status add_part(const std::vector<TensorSlice>& slices);

  /// Writes the manifest, then puts the folder into its place, replacing an older one of the same
  /// step. `description.step` must be the step of begin(). Returns the folder. Nothing may be added
  /// afterwards.
  Result<std::filesystem::path> commit(const Description& description);

 private:
  struct Part {
    std::string file;
    WrittenFile written;
  };
  struct SliceEntry {
    std::size_t part = 0;
    std::uint64_t first = 0;
    std::optional<nn::Part> of;
  };
  struct Sliced {
    std::vector<std::uint64_t> shape;
    std::vector<SliceEntry> slices;
  };

  CheckpointWriter(std::filesystem::path place, std::uint64_t step, data::StagedFolder folder)
      : place_(std::move(place)), step_(step), folder_(std::move(folder)) {}
  Status write_part(const std::vector<TensorView>& tensors);
  bool has(const TensorSlice& slice) const;
  nlohmann::json manifest(const Description& description) const;

  std::filesystem::path place_;
  std::uint64_t step_;
  data::StagedFolder folder_;
  std::vector<Part> parts_;
  std::unordered_map<std::string, std::size_t> part_of_;
  std::unordered_map<std::string, Sliced> sliced_;
};

/// An opened, verified checkpoint. Thread: any. Memory: parts are memory-mapped; views live as long
/// as it, and with them what find() has joined.
class Checkpoint {
 public:
  /// Verifies everything: manifest, sizes, SHA-256 of every part, names, moments shaped as their
  /// weights. Failure: kCheckpoint or kPath naming the folder, the part and what is wrong.
  static Result<Checkpoint> open(const std::filesystem::path& folder);

  /// Null when there is no such tensor. One that is in slices is joined, in memory, when it is
  /// first asked for.
  const TensorView* find(std::string_view name) const;
  /// Copies elements [first, first + to.size()) of an F32 tensor, whoever wrote it in whatever
  /// slices. Failure: kCheckpoint where there is no F32 tensor of this name with `elements`.
  Status read(std::string_view name, std::uint64_t elements, std::uint64_t first,
              std::span<float> to) const;
  /// All names, sorted; weights and moments.
  std::vector<std::string> names() const;
  /// kCheckpoint when it was written by another job.
  Status check_job(std::string_view job) const;

  const Description& description() const { return description_; }
  std::uint64_t step() const { return description_.step; }
  const std::filesystem::path& folder() const { return folder_; }

 private:
  /// Neighbouring elements.
  struct Run {
    std::uint64_t first = 0;
    std::uint64_t count = 0;
    BytesView bytes;  ///< in parts_
  };
  struct Entry {
    std::string dtype;
    std::vector<std::uint64_t> shape;
    const TensorView* whole = nullptr;  ///< where one part has all of it
    std::vector<Run> runs;              ///< by first element; all elements once
  };
  struct Joined {
    Bytes bytes;
    TensorView view;
  };
  /// Apart, so that a checkpoint can be moved.
  struct Joinery {
    std::mutex mutex;
    std::map<std::string_view, Joined> joined;
  };

  Checkpoint() = default;
  Status load_parts(const nlohmann::json& manifest);
  Status load_index(const nlohmann::json& manifest);
  Result<Entry> entry_of(const std::string& name, const nlohmann::json& entry) const;
  Result<const TensorView*> tensor_in(const std::string& name, const nlohmann::json& part) const;
  Status add_slice(const std::string& name, const nlohmann::json& slice, Entry& entry) const;
  Status check_cover(const std::string& name, Entry& entry) const;
  Status check_moments() const;
  const TensorView* join(std::string_view name, const Entry& entry) const;

  std::filesystem::path folder_;
  Description description_;
  std::vector<SafetensorsFile> parts_;
  std::map<std::string, Entry, std::less<>> index_;
  std::unique_ptr<Joinery> joinery_ = std::make_unique<Joinery>();
};

/// The steps that have a folder with its final name, ascending; damaged ones included.
Result<std::vector<std::uint64_t>> list_steps(const std::filesystem::path& checkpoints);

/// The newest checkpoint that verifies; nullopt when there is none at all (or no folder).
/// `skipped`, if given, receives why each newer one was passed over, newest first: log it.
/// Failure: kCheckpoint listing every reason when there are checkpoints and all are damaged, since
/// starting afresh in silence would throw the run away.
Result<std::optional<Checkpoint>> latest(const std::filesystem::path& checkpoints,
                                         std::vector<Error>* skipped = nullptr);

/// Removes all but the newest `keep` (at least one) checkpoints, and folders that a crash left half
/// written. Call it after a commit, not while a writer is open.
Status prune(const std::filesystem::path& checkpoints, std::size_t keep);

}  // namespace reef::checkpoint
