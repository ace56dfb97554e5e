#include "collectives/local/device_group.h"

#include <optional>
#include <utility>
#include <vector>

namespace reef::collectives {
namespace {

class OfDevices final : public LocalGroup {
 public:
  OfDevices(const DeviceGroupOptions& options, std::unique_ptr<ops::DeviceGroup> group)
      : device_(options.backend.device),
        rank_(options.rank),
        world_(options.world),
        group_(std::move(group)) {}

  Rank rank() const override { return rank_; }
  Rank world() const override { return world_; }
  ops::Device device() const override { return device_; }
  bool is_reproducible() const override { return false; }

  Status all_reduce(std::span<float> values, Deadline deadline) override {
    return run([&] { return group_->all_reduce(values, deadline); });
  }
  Status reduce_scatter(std::span<float> values, Deadline deadline) override {
    return run([&] { return group_->reduce_scatter(values, bounds_of(values), deadline); });
  }
  Status all_gather(std::span<float> values, Deadline deadline) override {
    return run([&] { return group_->all_gather(values, bounds_of(values), deadline); });
  }
  Status broadcast(std::span<float> values, Rank root, Deadline deadline) override {
    CHECK_LT(root, world_);
    return run([&] { return group_->broadcast(values, root, deadline); });
  }

 private:
  /// After a failure nobody knows what the others have seen.
  template <typename Work>
  Status run(Work&& work) {
    if (!broken_) {
      if (Status status = work(); !status.ok()) {
        broken_ = status.error();
        group_.reset();
      }
    }
    return broken_ ? Status(*broken_) : Status();
  }

  std::span<const std::size_t> bounds_of(std::span<const float> values) {
    bounds_.assign(1, 0);
    for (Rank r = 0; r < world_; ++r) bounds_.push_back(part_of({0, values.size()}, world_, r).end);
    return bounds_;
  }

  const ops::Device device_;
  const Rank rank_, world_;
  std::unique_ptr<ops::DeviceGroup> group_;
  std::vector<std::size_t> bounds_;
  std::optional<Error> broken_;
};

Result<const ops::Groups*> groups_of(const ops::Backend& backend) {
  if (const ops::Groups* const groups = backend.plugin->groups) return groups;
  const std::string name(ops::name_of(backend.device));
  return Error{Code::kNoFit, "device " + name,
               "its plug-in was built without a library for groups of devices"};
}

}  // namespace

Result<Bytes> make_group_id(const ops::Backend& backend) {
  ATOLL_ASSIGN(const ops::Groups* groups, groups_of(backend));
  Bytes id(groups->id_bytes);
  ATOLL_TRY(groups->make_id(id));
  return id;
}

Result<std::unique_ptr<LocalGroup>> join_device_group(const DeviceGroupOptions& options,
                                                      Deadline deadline) {
  ATOLL_ASSIGN(const ops::Groups* groups, groups_of(options.backend));
  CHECK_LT(options.rank, options.world);
  CHECK(options.context.device() == options.backend.device);
  if (options.id.size() != groups->id_bytes) {
    return Error{Code::kUsage, "group",
                 "an id of " + std::to_string(options.id.size()) + " bytes, not of " +
                     std::to_string(groups->id_bytes)};
  }
  ATOLL_ASSIGN(auto group,
               groups->join(options.context, options.id, options.rank, options.world, deadline));
  return std::unique_ptr<LocalGroup>(std::make_unique<OfDevices>(options, std::move(group)));
}

}  // namespace reef::collectives
