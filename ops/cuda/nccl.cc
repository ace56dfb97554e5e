#include "ops/cuda/nccl.h"

#include <cuda_runtime_api.h>
#include <dlfcn.h>
#include <nccl.h>

#include <chrono>
#include <cstdlib>
#include <cstring>
#include <string>
#include <thread>

#include "ops/cuda/context.h"
#include "ops/cuda/error.h"

namespace reef::ops::cuda {

namespace {

constexpr const char* kLibrary = "libnccl.so.2";
constexpr Duration kPollEvery = std::chrono::microseconds(20);
/// For members to take leave of each other; whoever does not is not waited for.
constexpr Duration kLeaveTime = std::chrono::seconds(1);

/// The functions of NCCL that are used here.
struct Library {
  std::string problem;  ///< why there is none; empty: all are there
#define ATOLL_NCCL(name) decltype(&::nccl##name) name = nullptr;
#define ATOLL_NCCL_FUNCTIONS     \
  ATOLL_NCCL(GetVersion)         \
  ATOLL_NCCL(GetUniqueId)        \
  ATOLL_NCCL(CommInitRankConfig) \
  ATOLL_NCCL(CommGetAsyncError)  \
  ATOLL_NCCL(CommFinalize)       \
  ATOLL_NCCL(CommDestroy)        \
  ATOLL_NCCL(CommAbort)          \
  ATOLL_NCCL(GetErrorString)     \
  ATOLL_NCCL(GetLastError)       \
  ATOLL_NCCL(GroupStart)         \
  ATOLL_NCCL(GroupEnd)           \
  ATOLL_NCCL(AllReduce)          \
  ATOLL_NCCL(Reduce)             \
  ATOLL_NCCL(Broadcast)
  ATOLL_NCCL_FUNCTIONS
#undef ATOLL_NCCL

  Library() {
    keep_to_this_machine();
    void* const library = dlopen(kLibrary, RTLD_NOW | RTLD_LOCAL);
    if (library == nullptr) {
      const char* const reason = dlerror();
      problem = reason != nullptr ? reason : "cannot be loaded";
      return;
    }
#define ATOLL_NCCL(name)                                                 \
  name = reinterpret_cast<decltype(name)>(dlsym(library, "nccl" #name)); \
  if (name == nullptr && problem.empty()) problem = "it has no nccl" #name;
    ATOLL_NCCL_FUNCTIONS
#undef ATOLL_NCCL
#undef ATOLL_NCCL_FUNCTIONS
  }

 private:
  /// Members find each other over sockets that NCCL neither seals nor authenticates: on the
  /// loopback alone, unless somebody has said otherwise.
  static void keep_to_this_machine() {
    setenv("NCCL_SOCKET_IFNAME", "lo", 0);
    setenv("NCCL_IB_DISABLE", "1", 0);
  }
};

Result<const Library*> library() {
  static const Library* const loaded = new Library;  // as long as the plug-in, whose end is exit
  if (loaded->problem.empty()) return loaded;
  return Error{Code::kNoFit, kLibrary,
               loaded->problem + "; install NCCL, or put it beside the plug-in"};
}

class NcclGroup final : public DeviceGroup {
 public:
  NcclGroup(const Library& nccl, CudaContext& context) : nccl_(nccl), context_(context) {
    context_.stream();  // chooses the GPU
    ATOLL_CUDA(cudaEventCreateWithFlags(&passed_, cudaEventDisableTiming));
  }
  ~NcclGroup() override {
    context_.stream();
    leave();
    ATOLL_CUDA(cudaEventDestroy(passed_));
  }

  Status join(std::span<const std::byte> id, std::uint32_t rank, std::uint32_t world,
              Deadline deadline) {
    rank_ = rank;
    world_ = world;
    ncclUniqueId unique;
    std::memcpy(&unique, id.data(), sizeof unique);
    ncclConfig_t config = NCCL_CONFIG_INITIALIZER;
    config.blocking = 0;  // a call that waits cannot be given up
    context_.stream();
    const ncclResult_t begun = nccl_.CommInitRankConfig(&group_, static_cast<int>(world), unique,
                                                        static_cast<int>(rank), &config);
    return settled(begun, "joining", deadline);
  }

  Status all_reduce(std::span<float> values, Deadline deadline) override {
    return run("all-reduce", deadline, [&](cudaStream_t stream) {
      return nccl_.AllReduce(values.data(), values.data(), values.size(), ncclFloat32, ncclSum,
                             group_, stream);
    });
  }
  /// NCCL's own wants parts of one size; ours differ by one. A reduction to each owner, as one
  /// operation. NCCL leaves a buffer alone where it is not the root's.
  Status reduce_scatter(std::span<float> values, std::span<const std::size_t> bounds,
                        Deadline deadline) override {
    return run("reduce-scatter", deadline, [&](cudaStream_t stream) {
      return each_part(values, bounds, [&](float* part, std::size_t count, int owner) {
        return nccl_.Reduce(part, part, count, ncclFloat32, ncclSum, owner, group_, stream);
      });
    });
  }
  Status all_gather(std::span<float> values, std::span<const std::size_t> bounds,
                    Deadline deadline) override {
    return run("all-gather", deadline, [&](cudaStream_t stream) {
      return each_part(values, bounds, [&](float* part, std::size_t count, int owner) {
        return nccl_.Broadcast(part, part, count, ncclFloat32, owner, group_, stream);
      });
    });
  }
  Status broadcast(std::span<float> values, std::uint32_t root, Deadline deadline) override {
    return run("broadcast", deadline, [&](cudaStream_t stream) {
      return nccl_.Broadcast(values.data(), values.data(), values.size(), ncclFloat32,
                             static_cast<int>(root), group_, stream);
    });
  }

 private:
  template <typename Part>
  ncclResult_t each_part(std::span<float> values, std::span<const std::size_t> bounds,
                         Part&& part) {
    ncclResult_t result = nccl_.GroupStart();
    for (std::size_t r = 0; result == ncclSuccess && r + 1 < bounds.size(); ++r) {
      const std::size_t count = bounds[r + 1] - bounds[r];
      if (count > 0) result = part(values.data() + bounds[r], count, static_cast<int>(r));
      if (result == ncclInProgress) result = ncclSuccess;  // it is queued until the end
    }
    const ncclResult_t ended = nccl_.GroupEnd();
    return result == ncclSuccess ? ended : result;
  }

  /// Launches, then waits for the GPU to be done.
  template <typename Launch>
  Status run(const char* what, Deadline deadline, Launch&& launch) {
    CHECK(group_ != nullptr) << "a group that has failed is used on";
    const cudaStream_t stream = context_.stream();
    ATOLL_TRY(settled(launch(stream), what, deadline));
    ATOLL_CUDA(cudaEventRecord(passed_, stream));
    while (true) {
      const cudaError_t passed = cudaEventQuery(passed_);
      if (passed == cudaSuccess) return {};
      if (passed != cudaErrorNotReady) return give_up(what, cudaGetErrorString(passed));
      ncclResult_t now = ncclSuccess;
      nccl_.CommGetAsyncError(group_, &now);
      if (now != ncclSuccess && now != ncclInProgress) return failed(what, now);
      if (system_clock().now() > deadline) return timed_out(what);
      std::this_thread::sleep_for(kPollEvery);
    }
  }

  /// What a call has begun is under way, or has failed.
  Status settled(ncclResult_t result, const char* what, Deadline deadline) {
    while (result == ncclInProgress) {
      if (system_clock().now() > deadline) return timed_out(what);
      std::this_thread::sleep_for(kPollEvery);
      const ncclResult_t asked = nccl_.CommGetAsyncError(group_, &result);
      if (asked != ncclSuccess) result = asked;
    }
    return result == ncclSuccess ? Status() : failed(what, result);
  }

  Status timed_out(const char* what) {
    abort();
    return Error{Code::kTimedOut, where(), std::string(what) + ": a member had not come in time"};
  }
  Status failed(const char* what, ncclResult_t result) {
    if (result == ncclRemoteError) {
      abort();
      return Error{Code::kPeerLost, where(), std::string(what) + ": a member is gone"};
    }
    const char* const more = nccl_.GetLastError(group_);
    const std::string detail = more != nullptr && *more != 0 ? std::string("; ") + more : "";
    return give_up(what, nccl_.GetErrorString(result) + detail);
  }
  Status give_up(const char* what, const std::string& why) {
    abort();
    return Error{Code::kIo, where(), std::string(what) + ": " + why};
  }
  std::string where() const {
    return "rank " + std::to_string(rank_) + " of " + std::to_string(world_) + " by NCCL";
  }

  /// Ends kernels that wait for members, too, so that the stream is not held for ever.
  void abort() {
    if (group_ != nullptr) nccl_.CommAbort(std::exchange(group_, nullptr));
  }

  /// Calls return when they are done, so nothing is under way here.
  void leave() {
    if (group_ == nullptr) return;
    const Deadline deadline = system_clock().now() + kLeaveTime;
    ncclResult_t result = nccl_.CommFinalize(group_);
    while (result == ncclInProgress && system_clock().now() < deadline) {
      std::this_thread::sleep_for(kPollEvery);
      if (nccl_.CommGetAsyncError(group_, &result) != ncclSuccess) result = ncclInternalError;
    }
    if (result != ncclSuccess) return abort();
    nccl_.CommDestroy(std::exchange(group_, nullptr));
  }

  const Library& nccl_;
  CudaContext& context_;
  ncclComm_t group_ = nullptr;  ///< null before joining and after a failure
  cudaEvent_t passed_ = nullptr;
  std::uint32_t rank_ = 0, world_ = 1;
};

Status make_id(std::span<std::byte> id) {
  ATOLL_ASSIGN(const Library* nccl, library());
  ncclUniqueId unique;
  const ncclResult_t made = nccl->GetUniqueId(&unique);
  if (made != ncclSuccess) {
    return Error{Code::kIo, kLibrary, std::string("makes no id: ") + nccl->GetErrorString(made)};
  }
  CHECK_EQ(id.size(), sizeof unique);
  std::memcpy(id.data(), &unique, sizeof unique);
  return {};
}

Result<std::unique_ptr<DeviceGroup>> join(Context& context, std::span<const std::byte> id,
                                          std::uint32_t rank, std::uint32_t world,
                                          Deadline deadline) {
  ATOLL_ASSIGN(const Library* nccl, library());
  auto group = std::make_unique<NcclGroup>(*nccl, static_cast<CudaContext&>(context));
  ATOLL_TRY(group->join(id, rank, world, deadline));
  return std::unique_ptr<DeviceGroup>(std::move(group));
}

}  // namespace

const Groups kNcclGroups = {sizeof(ncclUniqueId), make_id, join};

}  // namespace reef::ops::cuda
