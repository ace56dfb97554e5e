// `atoll bench seal`: what the seal costs.

#include <condition_variable>
#include <mutex>
#include <optional>

#include "runtime/app/bench/bench.h"
#include "runtime/app/bench/far_end.h"
#include "runtime/link/channel/streams.h"
#include "runtime/link/inproc/inproc.h"
#include "runtime/link/probe.h"
#include "security/identity/keys.h"

namespace reef::app {
namespace {

namespace secure = link::secure;
using security::Role;

constexpr double kOfRawTarget = 0.5;
constexpr double kHandshakesTarget = 1000;
constexpr std::size_t kRounds = 5;
constexpr Duration kRound = std::chrono::seconds(1);

/// Two members of a cluster that is made for one measurement.
struct Pair {
  security::Authority authority = security::Authority::generate();
  secure::Local left = member("left"), right = member("right");

  secure::Local member(const char* name) const {
    secure::Local local;
    auto key = std::make_shared<security::NodeKey>(security::NodeKey::generate());
    local.authority = authority.public_key();
    local.cluster = authority.cluster();
    local.credential = authority
                           .issue({.cluster = local.cluster,
                                   .name = name,
                                   .noise_key = key->noise_key(),
                                   .identity_key = key->identity_key(),
                                   .role = Role::kNode,
                                   .datacenter = "here",
                                   .not_after = secure::system_unix_now() + 3600,
                                   .serial = 1})
                           .value();
    local.key = std::move(key);
    return local;
  }
  secure::ExpectedPeer expected() const { return {right.key->noise_key(), Role::kNode}; }
};

/// Bytes a second that one core seals, a record's worth at a time.
double raw_rate(security::Cipher cipher) {
  const auto key = security::SecretBytes::random(security::kKeySize);
  const security::KeyView view(key.data(), security::kKeySize);
  Bytes sealed(secure::kFrameLimit), plain(sealed.size() - security::kTagSize);
  std::uint64_t n = 0;
  const Time start = system_clock().now();
  Time now = start;
  for (; now - start < kRound; now = system_clock().now()) {
    for (int i = 0; i < 16; ++i) {
      security::seal(cipher, sealed, view, security::counter_nonce(cipher, n++), {}, plain);
    }
  }
  return static_cast<double>(n * plain.size()) / std::chrono::duration<double>(now - start).count();
}

/// The far end of the line: answers probes.
FarEnd::Serve serve(const secure::Local& local) {
  return [&local](const auto& tell, const auto& wait) {
    link::Loop loop;
    std::vector<std::unique_ptr<link::ProbeServer>> servers;
    link::StreamGatherer gatherer(loop, [&servers](link::Streams streams) {
      servers.push_back(
          std::make_unique<link::ProbeServer>(link::Channel::create(std::move(streams)), [] {}));
    });
    auto listener = link::tcp::Listener::listen(loop, "127.0.0.1", 0, [&](auto plain) {
      secure::accept(std::move(plain), local, kNoDeadline, [&gatherer](auto sealed) {
        if (sealed.ok()) gatherer.add(std::move(*sealed));
      });
    });
    tell(listener.ok() ? (*listener)->port() : 0);
    wait();
    loop.call([&servers] { servers.clear(); });
  };
}

/// Bytes a second through a sealed channel of one data stream to the other process.
Result<double> sealed_rate(link::Loop& loop, const Pair& pair, std::uint16_t port) {
  std::mutex mutex;
  std::condition_variable arrived;
  std::optional<Result<link::LineReport>> result;
  link::measure(
      loop,
      {.streams = {1},
       .idle = std::chrono::milliseconds(50),
       .settle = std::chrono::milliseconds(300),
       .load = kRound},
      [&](std::uint16_t streams, auto opened) {
        link::connect_streams(loop, "127.0.0.1", port, pair.left, pair.expected(),
                              {.purpose = secure::Purpose::kProbe, .data = streams}, kNoDeadline,
                              [opened](auto links) {
                                if (!links.ok()) return opened(links.error());
                                opened(link::Channel::create(std::move(*links)));
                              });
      },
      [&](auto report) {
        const std::lock_guard lock(mutex);
        result.emplace(std::move(report));
        arrived.notify_one();
      });
  std::unique_lock lock(mutex);
  arrived.wait(lock, [&result] { return result.has_value(); });
  if (!result->ok()) return result->error();
  return (*result)->best().rate / 8;
}

/// Handshakes a second of one core that plays both ends.
Result<double> handshake_rate(link::Loop& loop, const Pair& pair) {
  std::optional<Error> error;
  std::uint64_t done = 0;
  const Time start = system_clock().now();
  Time now = start;
  for (; now - start < kRound && !error; now = system_clock().now()) {
    std::mutex mutex;
    std::condition_variable arrived;
    int open = 0;
    std::vector<std::unique_ptr<secure::SecureLink>> links;
    const auto keep = [&](auto link) {
      const std::lock_guard lock(mutex);
      if (!link.ok()) error = link.error();
      if (link.ok()) links.push_back(std::move(*link));
      ++open;
      arrived.notify_one();
    };
    loop.post([&] {
      auto [a, b] = link::inproc::pair(loop, loop);
      secure::accept(std::move(b), pair.right, kNoDeadline, keep);
      secure::connect(std::move(a), pair.left, pair.expected(), {}, kNoDeadline, keep);
    });
    std::unique_lock lock(mutex);
    arrived.wait(lock, [&open] { return open == 2; });
    ++done;
  }
  if (error) return *error;
  return static_cast<double>(done) / std::chrono::duration<double>(now - start).count();
}

Result<int> bench_seal(bool json) {
  const Pair pair;
  const FarEnd far(serve(pair.right));  // before this process has threads
  if (far.port() == 0) return Error{Code::kIo, "bench seal", "the second process did not start"};
  link::Loop loop;
  std::vector<double> raw, sealed, handshakes;
  for (std::size_t round = 0; round < kRounds; ++round) {
    raw.push_back(raw_rate(security::Cipher::kChaChaPoly));
    ATOLL_ASSIGN(sealed.emplace_back(), sealed_rate(loop, pair, far.port()));
    ATOLL_ASSIGN(handshakes.emplace_back(), handshake_rate(loop, pair));
  }
  print_row({.name = "sealed-tcp-bytes-per-second",
             .ours = median(sealed),
             .theirs = median(raw),
             .target = kOfRawTarget,
             .at_least = true},
            json);
  print_row({.name = "handshakes-per-second-and-core",
             .ours = median(handshakes),
             .theirs = {},
             .target = kHandshakesTarget,
             .at_least = true},
            json);
  return 0;
}

}  // namespace

void add_bench_seal(CLI::App& bench, Action& action) {
  auto json = std::make_shared<bool>(false);
  CLI::App* command = bench.add_subcommand(
      "seal",
      "A sealed channel between two processes against the cipher alone on one core; handshakes");
  command->add_flag("--json", *json, "Print the rows as JSON");
  command->callback([json, &action] { action = [json] { return bench_seal(*json); }; });
}

}  // namespace reef::app
