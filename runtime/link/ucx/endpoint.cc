#include "runtime/link/ucx/endpoint.h"

#include <sys/epoll.h>
#include <ucp/api/ucp.h>
#include <ucs/debug/log_def.h>

#include <cstdarg>
#include <cstdio>
#include <filesystem>
#include <set>
#include <sstream>
#include <thread>
#include <utility>
#include <vector>

#include "runtime/base/check.h"
#include "runtime/base/log.h"

namespace reef::link::ucx {
namespace {

constexpr int kTurns = 32;  // of the worker, then other links get theirs
/// Sleeping and waking costs about as much as this; bytes that follow each other come sooner.
constexpr std::chrono::microseconds kPoll{30};
constexpr std::chrono::microseconds kYieldAfter{2};
/// After so long without a byte moving, a peer that takes nothing is looked at by a timer.
constexpr std::chrono::microseconds kPatience{500};
constexpr std::chrono::milliseconds kLookAgain{1};
constexpr int kClosingTurns = 1000;

Error error_of(const char* doing, ucs_status_t status) {
  return {Code::kPeerLost, "ucx", std::string(doing) + ": " + ucs_status_string(status)};
}

}  // namespace

// --- the context -------------------------------------------------------------------------------

namespace {

/// "sysv" for shared memory: its segments are gone with their processes, and who maps them needs no
/// right to look into the other process, which processes with keys give nobody. "tcp" for network
/// interfaces of the system, "ib" for other devices: UCX warns of each that is named and cannot be.
std::string transports_of(const Ways& ways) {
  std::set<std::string> transports;
  if (ways.shared_memory) transports.insert("sysv");
  std::istringstream devices(ways.devices);
  for (std::string device; std::getline(devices, device, ',');) {
    transports.insert(std::filesystem::exists("/sys/class/net/" + device) ? "tcp" : "ib");
  }
  std::string list;
  for (const std::string& transport : transports) list += (list.empty() ? "" : ",") + transport;
  return list;
}

/// UCX says things on stdout, where a program's own output is.
ucs_log_func_rc_t log_line(const char*, unsigned, const char*, ucs_log_level_t level,
                           const ucs_log_component_config_t*, const char* format, va_list values) {
  std::array<char, 512> line;
  std::vsnprintf(line.data(), line.size(), format, values);
  const std::string text = "ucx: " + std::string(line.data());
  if (level <= UCS_LOG_LEVEL_ERROR) {
    log_error(text);
  } else {
    log_warning(text);
  }
  return UCS_LOG_FUNC_RC_STOP;
}

ucs_status_t configure(ucp_config_t* config, const Ways& ways) {
  std::vector<std::pair<const char*, std::string>> settings{
      {"TLS", transports_of(ways)},
      {"CM_REUSEADDR", "y"},
      {"KEEPALIVE_INTERVAL", "inf"},  // the life line tells sooner
  };
  if (!ways.devices.empty()) settings.emplace_back("NET_DEVICES", ways.devices);
  // Without it the error mode that lets go of a dead peer would rule shared memory out.
  if (ways.shared_memory) settings.emplace_back("MM_ERROR_HANDLING", "y");
  // Twice the usual piece and its header: a tenth faster for frames of 64 KiB.
  if (ways.shared_memory) settings.emplace_back("MM_SEG_SIZE", "16448");
  for (const auto& [name, value] : settings) {
    if (const auto status = ucp_config_modify(config, name, value.c_str()); status != UCS_OK)
      return status;
  }
  return UCS_OK;
}

}  // namespace

Result<Ways> parse_ways(std::string_view text) {
  Ways ways{.shared_memory = false, .devices = ""};
  std::istringstream names{std::string(text) + ","};
  for (std::string name; std::getline(names, name, ',');) {
    if (name.empty()) {
      return Error{Code::kUsage, "ucx " + std::string(text),
                   "an empty name; shm and network devices with commas, such as shm,mlx5_0:1"};
    }
    if (name == "shm") {
      ways.shared_memory = true;
    } else {
      ways.devices += (ways.devices.empty() ? "" : ",") + name;
    }
  }
  return ways;
}

Result<std::shared_ptr<Context>> Context::open(const Ways& ways) {
  const std::string where = "ucx " + std::string(ways.shared_memory ? "shm" : "") +
                            (ways.shared_memory && !ways.devices.empty() ? "," : "") + ways.devices;
  if (!ways.shared_memory && ways.devices.empty()) {
    return Error{Code::kUsage, "ucx", "neither shared memory nor a network device to use"};
  }
  static const bool heard = (ucs_log_push_handler(log_line), true);
  (void)heard;
  ucp_config_t* config = nullptr;
  ucs_status_t status = ucp_config_read(nullptr, nullptr, &config);
  ucp_context_h context = nullptr;
  if (status == UCS_OK) {
    status = configure(config, ways);
    ucp_params_t params{};
    params.field_mask = UCP_PARAM_FIELD_FEATURES | UCP_PARAM_FIELD_MT_WORKERS_SHARED;
    params.features = UCP_FEATURE_STREAM | UCP_FEATURE_WAKEUP;  // no peer names memory of ours
    params.mt_workers_shared = 1;
    if (status == UCS_OK) status = ucp_init(&params, config, &context);
    ucp_config_release(config);
  }
  if (status != UCS_OK) {
    return Error{Code::kUsage, where,
                 std::string(ucs_status_string(status)) +
                     "; `ucx_info -d` shows the devices that UCX knows here, and `ip link` "
                     "whether they are up"};
  }
  return std::shared_ptr<Context>(new Context(context));
}

Context::~Context() { ucp_cleanup(static_cast<ucp_context_h>(raw_)); }

// --- the endpoint ------------------------------------------------------------------------------

struct Endpoint::Raw {
  ucp_worker_h worker = nullptr;
  ucp_ep_h endpoint = nullptr;
  int descriptor = -1;
  void* piece = nullptr;    ///< of what has arrived, lent to the owner
  void* request = nullptr;  ///< of the send that is on its way
  std::array<ucp_dt_iov_t, kMostPieces> pieces;
};

Endpoint::Endpoint(Loop& loop, std::shared_ptr<Context> context)
    : loop_(loop), context_(std::move(context)), raw_(std::make_unique<Raw>()) {}

Endpoint::~Endpoint() { shut(); }

Result<std::shared_ptr<Endpoint>> Endpoint::open(Loop& loop, std::shared_ptr<Context> context) {
  const std::shared_ptr<Endpoint> endpoint(new Endpoint(loop, std::move(context)));
  Raw& raw = *endpoint->raw_;
  ucp_worker_params_t params{};
  params.field_mask = UCP_WORKER_PARAM_FIELD_THREAD_MODE;
  params.thread_mode = UCS_THREAD_MODE_SINGLE;
  const auto parent = static_cast<ucp_context_h>(endpoint->context_->raw());
  if (const auto status = ucp_worker_create(parent, &params, &raw.worker); status != UCS_OK)
    return error_of("a worker", status);
  if (const auto status = ucp_worker_get_efd(raw.worker, &raw.descriptor); status != UCS_OK)
    return error_of("a worker's descriptor", status);
  return endpoint;
}

Result<Bytes> Endpoint::address() const {
  ucp_address_t* address = nullptr;
  std::size_t size = 0;
  if (const auto status = ucp_worker_get_address(raw_->worker, &address, &size); status != UCS_OK)
    return error_of("a worker's address", status);
  Bytes bytes = to_bytes({reinterpret_cast<const std::byte*>(address), size});
  ucp_worker_release_address(raw_->worker, address);
  return bytes;
}

Status Endpoint::connect(BytesView address, std::function<void()> moved) {
  moved_ = std::move(moved);
  ucp_ep_params_t params{};
  params.field_mask = UCP_EP_PARAM_FIELD_REMOTE_ADDRESS | UCP_EP_PARAM_FIELD_ERR_HANDLING_MODE |
                      UCP_EP_PARAM_FIELD_ERR_HANDLER;
  params.address = reinterpret_cast<const ucp_address_t*>(address.data());
  params.err_mode = UCP_ERR_HANDLING_MODE_PEER;
  params.err_handler.arg = this;
  params.err_handler.cb = [](void* self, ucp_ep_h, ucs_status_t status) {
    static_cast<Endpoint*>(self)->fail("the line", status);
  };
  if (const auto status = ucp_ep_create(raw_->worker, &params, &raw_->endpoint); status != UCS_OK)
    return error_of("no way to the peer's worker", status);
  loop_.watch(raw_->descriptor, EPOLLIN, [weak = weak_from_this()](std::uint32_t) {
    if (const auto self = weak.lock(); self && !self->driving_) self->drive();
  });
  drive_soon();
  return {};
}

void Endpoint::fail(const char* doing, int status) {
  if (!failure_) failure_ = error_of(doing, static_cast<ucs_status_t>(status));
}

void Endpoint::send(std::span<const BytesView> pieces) {
  CHECK(!sending_ && pieces.size() <= kMostPieces);
  if (failure_ || raw_->endpoint == nullptr) return;
  for (std::size_t i = 0; i < pieces.size(); ++i) {
    raw_->pieces[i] = {const_cast<std::byte*>(pieces[i].data()), pieces[i].size()};
  }
  ucp_request_param_t params{};
  params.op_attr_mask =
      UCP_OP_ATTR_FIELD_CALLBACK | UCP_OP_ATTR_FIELD_USER_DATA | UCP_OP_ATTR_FIELD_DATATYPE;
  params.datatype = UCP_DATATYPE_IOV;
  params.user_data = this;
  params.cb.send = [](void* request, ucs_status_t status, void* user) {
    auto* const self = static_cast<Endpoint*>(user);
    self->sending_ = false;
    self->raw_->request = nullptr;
    ucp_request_free(request);
    if (status != UCS_OK) self->fail("sending", status);
  };
  void* const request =
      ucp_stream_send_nbx(raw_->endpoint, raw_->pieces.data(), pieces.size(), &params);
  if (UCS_PTR_IS_ERR(request)) {
    fail("sending", UCS_PTR_STATUS(request));
  } else if (request != nullptr) {
    sending_ = true;
    raw_->request = request;
  }
  last_move_ = loop_.clock().now();
  drive_soon();
}

void Endpoint::release_piece() {
  if (raw_->piece == nullptr) return;
  ucp_stream_data_release(raw_->endpoint, std::exchange(raw_->piece, nullptr));
}

std::optional<BytesView> Endpoint::receive() {
  if (raw_->endpoint == nullptr) return std::nullopt;
  release_piece();
  if (failure_) return std::nullopt;
  std::size_t size = 0;
  void* const piece = ucp_stream_recv_data_nb(raw_->endpoint, &size);
  if (piece == nullptr) return std::nullopt;
  if (UCS_PTR_IS_ERR(piece)) {
    fail("receiving", UCS_PTR_STATUS(piece));
    return std::nullopt;
  }
  raw_->piece = piece;
  return BytesView(static_cast<const std::byte*>(piece), size);
}

void Endpoint::pull() {
  for (int i = 0; i < kClosingTurns && raw_->worker != nullptr; ++i) {
    if (ucp_worker_progress(raw_->worker) == 0) return;
  }
}

// --- driving -----------------------------------------------------------------------------------

void Endpoint::nudge() {
  nudged_ = true;
  drive_soon();
}

void Endpoint::drive_soon() {
  if (std::exchange(driving_, true)) return;
  loop_.post([weak = weak_from_this()] {
    const auto self = weak.lock();
    if (!self) return;
    self->driving_ = false;
    self->drive();
  });
}

void Endpoint::drive() {
  const auto self = shared_from_this();
  for (int i = 0; i < kTurns; ++i) {
    if (raw_->worker == nullptr) return;
    const bool was_sending = sending_, had_failed = failure_.has_value();
    bool busy = ucp_worker_progress(raw_->worker) > 0;
    busy |= was_sending != sending_ || had_failed != failure_.has_value();
    if (std::exchange(nudged_, false) || busy) {
      last_move_ = loop_.clock().now();
      moved_();
    }
  }
  if (raw_->worker == nullptr || rest()) return;
  // The peer's loop may be waiting for this very core: the system wakes it up where it was woken
  // from, and without this a pair was up to ten times slower on two busy cores.
  if (loop_.clock().now() - last_move_ > kYieldAfter) std::this_thread::yield();
  drive_soon();
}

/// Whether there is nothing to do until the descriptor or a timer says so.
bool Endpoint::rest() {
  const Duration quiet = loop_.clock().now() - last_move_;
  if (quiet < kPoll) return false;
  const ucs_status_t armed = ucp_worker_arm(raw_->worker);
  if (armed == UCS_OK) return true;
  if (armed != UCS_ERR_BUSY) {
    fail("waiting", armed);
    moved_();
    return true;
  }
  // Either something has just arrived, or UCX cannot sleep on a send that waits for room.
  if (quiet < kPatience) return false;
  driving_ = true;
  loop_.rewatch(raw_->descriptor, 0);  // it may stay ready as long as nobody arms it
  loop_.at(loop_.clock().now() + kLookAgain, [weak = weak_from_this()] {
    const auto self = weak.lock();
    if (!self || self->raw_->worker == nullptr) return;
    self->driving_ = false;
    self->loop_.rewatch(self->raw_->descriptor, EPOLLIN);
    self->drive();
  });
  return true;
}

void Endpoint::shut() {
  if (raw_->worker == nullptr) return;
  if (raw_->descriptor >= 0) loop_.unwatch(raw_->descriptor);
  if (raw_->endpoint != nullptr) {
    release_piece();
    ucp_request_param_t params{};
    params.op_attr_mask = UCP_OP_ATTR_FIELD_FLAGS;
    params.flags = UCP_EP_CLOSE_FLAG_FORCE;
    void* const closing = ucp_ep_close_nbx(raw_->endpoint, &params);
    raw_->endpoint = nullptr;
    if (UCS_PTR_IS_PTR(closing)) {
      for (int i = 0; i < kClosingTurns && ucp_request_check_status(closing) == UCS_INPROGRESS; ++i)
        ucp_worker_progress(raw_->worker);
      ucp_request_free(closing);
    }
  }
  ucp_worker_destroy(std::exchange(raw_->worker, nullptr));
}

}  // namespace reef::link::ucx
