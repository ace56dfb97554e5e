// `atoll bench link`: a UCX link beside ucx_perftest, and what it costs at rest.

#include <sys/resource.h>

#include <algorithm>
#include <condition_variable>
#include <cstdio>
#include <memory>
#include <mutex>
#include <optional>
#include <sstream>
#include <thread>

#include "runtime/app/bench/bench.h"
#include "runtime/app/bench/far_end.h"
#include "runtime/link/tcp/tcp.h"
#include "runtime/link/ucx/ucx.h"

namespace reef::app {
namespace {

constexpr double kOfPerftestTarget = 0.9;
constexpr double kRestTarget = 1;  // percent of one core
constexpr std::size_t kRounds = 9;
constexpr std::size_t kInFlight = 8;
constexpr Duration kRound = std::chrono::milliseconds(500);
constexpr std::size_t kPerftestMessages = 50'000;

Result<std::shared_ptr<link::ucx::Context>> shared_memory() {
  return link::ucx::Context::open({.shared_memory = true, .devices = ""});
}

/// The far end: sends frames back as they come.
FarEnd::Serve echo() {
  return [](const auto& tell, const auto& wait) {
    const auto context = shared_memory();
    link::Loop loop;
    std::unique_ptr<link::Link> link;
    auto listener = link::tcp::Listener::listen(loop, "127.0.0.1", 0, [&](auto life_line) {
      link::ucx::join(loop, *context, std::move(life_line), kNoDeadline, [&link](auto joined) {
        if (!joined.ok()) return;
        link = std::move(*joined);
        link->start([&link](Bytes frame) { link->send(std::move(frame), kNoDeadline, nullptr); },
                    [](const Error&) {});
      });
    });
    tell(context.ok() && listener.ok() ? (*listener)->port() : 0);
    wait();
    loop.call([&link] { link.reset(); });
  };
}

/// Waits for one value from another thread.
template <typename T>
class Arrival {
 public:
  void put(T value) {
    const std::lock_guard lock(mutex_);
    value_.emplace(std::move(value));
    arrived_.notify_one();
  }
  T take() {
    std::unique_lock lock(mutex_);
    arrived_.wait(lock, [this] { return value_.has_value(); });
    T value = std::move(*value_);
    value_.reset();
    return value;
  }

 private:
  std::mutex mutex_;
  std::condition_variable arrived_;
  std::optional<T> value_;
};

Result<std::unique_ptr<link::Link>> connect(link::Loop& loop,
                                            std::shared_ptr<link::ucx::Context> context,
                                            std::uint16_t port) {
  Arrival<Result<std::unique_ptr<link::Link>>> arrival;
  link::tcp::dial(loop, "127.0.0.1", port, kNoDeadline, [&](auto life_line) {
    if (!life_line.ok()) return arrival.put(life_line.error());
    link::ucx::join(loop, context, std::move(*life_line), kNoDeadline,
                    [&arrival](auto joined) { arrival.put(std::move(joined)); });
  });
  return arrival.take();
}

/// Keeps kInFlight frames going to and fro: a link takes its frames by value, and making them would
/// be measured with it. Lives on the loop but for run().
class Juggler {
 public:
  explicit Juggler(link::Link& link) : link_(link) {
    link_.start([this](Bytes frame) { back(std::move(frame)); },
                [this](Error why) { rate_.put(std::move(why)); });
  }

  /// Bytes a second, of both ways together, in one round.
  Result<double> run() {
    link_.executor().post([this] {
      start_ = system_clock().now();
      carried_ = 0;
      for (; in_flight_ < kInFlight; ++in_flight_) send(Bytes(link::kMaxFrame));
    });
    return rate_.take();
  }

 private:
  void send(Bytes frame) { link_.send(std::move(frame), kNoDeadline, nullptr); }
  void back(Bytes frame) {
    carried_ += 2 * frame.size();
    const Duration taken = system_clock().now() - start_;
    if (taken < kRound) return send(std::move(frame));
    if (--in_flight_ == 0) rate_.put(static_cast<double>(carried_) / seconds(taken));
  }

  link::Link& link_;
  Time start_{};
  std::size_t in_flight_ = 0, carried_ = 0;
  Arrival<Result<double>> rate_;
};

/// What a command prints, or an error when it fails.
Result<std::string> output_of(const std::string& command) {
  std::FILE* const pipe = ::popen(command.c_str(), "r");
  if (pipe == nullptr) return Error{Code::kIo, command, "does not start"};
  std::string text;
  char piece[512];
  while (const std::size_t n = std::fread(piece, 1, sizeof piece, pipe)) text.append(piece, n);
  if (::pclose(pipe) == 0) return text;
  return Error{Code::kUsage, "ucx_perftest", "failed; Debian has it in ucx-utils"};
}

/// Bytes a second of ucx_perftest over the same transport: the overall bandwidth of its last line.
/// stream_bw is what links are made of; it copies the bytes out, as we do. Pieces as large as ours
/// make it faster, too.
Result<double> perftest_rate() {
  // One shell starts the server and tries the client until the server listens. $$ is its process.
  const std::string script =
      "export UCX_TLS=sysv UCX_SYSV_SEG_SIZE=16448 UCX_RNDV_THRESH=inf UCX_WARN_UNUSED_ENV_VARS=n; "
      "port=$((20000 + $$ % 20000)); ucx_perftest -p $port >/dev/null 2>&1 & server=$!; "
      "for try in 1 2 3 4 5 6 7 8 9 10; do sleep 0.1; "
      "if ucx_perftest 127.0.0.1 -p $port -t stream_bw -s " +
      std::to_string(link::kMaxFrame) + " -n " + std::to_string(kPerftestMessages) +
      " -w 1000 -f 2>/dev/null; then wait $server; exit 0; fi; done; kill $server; exit 1";
  ATOLL_ASSIGN(const std::string text, output_of(script));
  std::istringstream words(text.substr(text.rfind('\n', text.size() - 2) + 1));
  std::vector<double> figures;
  for (double figure; words >> figure;) figures.push_back(figure);
  constexpr std::size_t kOverallBandwidth = 5;
  if (figures.size() <= kOverallBandwidth) {
    return Error{Code::kIo, "ucx_perftest", "printed something else than figures"};
  }
  return figures[kOverallBandwidth] * (1 << 20);
}

double cpu_seconds() {
  rusage usage{};
  ::getrusage(RUSAGE_SELF, &usage);
  const auto of = [](const timeval& time) {
    return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) / 1e6;
  };
  return of(usage.ru_utime) + of(usage.ru_stime);
}

/// Percent of a core that this process takes while its link has nothing to do.
double rest() {
  std::this_thread::sleep_for(std::chrono::milliseconds(100));
  const double before = cpu_seconds();
  const Time start = system_clock().now();
  std::this_thread::sleep_for(std::chrono::seconds(2));
  return 100 * (cpu_seconds() - before) / seconds(system_clock().now() - start);
}

Result<int> bench_link(bool json) {
  const FarEnd far(echo());  // before this process has threads
  if (far.port() == 0) return Error{Code::kIo, "bench link", "the second process did not start"};
  ATOLL_ASSIGN(const auto context, shared_memory());
  link::Loop loop;
  ATOLL_ASSIGN(const auto link, connect(loop, context, far.port()));
  Juggler juggler(*link);
  std::vector<double> ours, theirs;
  for (std::size_t round = 0; round < kRounds; ++round) {
    ATOLL_ASSIGN(ours.emplace_back(), juggler.run());
    ATOLL_ASSIGN(theirs.emplace_back(), perftest_rate());
  }
  print_row({.name = "ucx-shm-bytes-per-second",
             .ours = median(ours),
             .theirs = median(theirs),
             .target = kOfPerftestTarget,
             .at_least = true,
             .spread = {{spread(ours), spread(theirs)}}},
            json);
  print_row(
      {.name = "ucx-rest-percent-of-a-core", .ours = rest(), .theirs = {}, .target = kRestTarget},
      json);
  return 0;
}

}  // namespace

void add_bench_link(CLI::App& bench, Action& action) {
  auto json = std::make_shared<bool>(false);
  CLI::App* command = bench.add_subcommand(
      "link",
      "Frames of 64 KiB over a UCX link through shared memory against ucx_perftest; its rest");
  command->add_flag("--json", *json, "Print the rows as JSON");
  command->callback([json, &action] { action = [json] { return bench_link(*json); }; });
}

}  // namespace reef::app
