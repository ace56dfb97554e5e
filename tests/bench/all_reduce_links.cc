// One rank of an all-reduce over TCP channels, for lines between machines or namespaces:
//
//   all_reduce_links --rank R --hosts A,B,C,D --port P --algorithm ring:0,2,1,3 --mib 8 --rounds 3
//
// (or hierarchical:0,1/2,3, or with one gate hierarchical1:0,1/2,3) prints {"seconds": [...]} of
// this rank's rounds, all of which begin together. Rank d dials port P + d of every higher rank.
// Plain channels: the seal is measured elsewhere.

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <CLI/CLI.hpp>
#include <condition_variable>
#include <mutex>

#include "collectives/algorithms/algorithms.h"
#include "collectives/wide/channel_courier.h"
#include "runtime/link/loop.h"
#include "runtime/link/sim/plain_channel.h"
#include "runtime/link/tcp/tcp.h"

namespace reef::bench {
namespace {

using collectives::Rank;

constexpr std::uint64_t kChunk = 16 << 10;  // elements: 64 KiB

struct Options {
  Rank rank = 0;
  std::vector<std::string> hosts;
  std::uint16_t port = 7100;
  std::string algorithm;
  std::uint64_t mib = 8;
  unsigned rounds = 3;
};

std::vector<std::string> split(const std::string& text, char at) {
  std::vector<std::string> parts;
  std::istringstream in(text);
  for (std::string part; std::getline(in, part, at);) parts.push_back(part);
  return parts;
}
std::vector<Rank> ranks(const std::string& text) {
  std::vector<Rank> all;
  for (const std::string& one : split(text, ',')) all.push_back(static_cast<Rank>(std::stoul(one)));
  return all;
}

collectives::Schedule schedule_of(const std::string& algorithm, std::uint64_t elements) {
  const std::size_t colon = algorithm.find(':');
  const std::string name = algorithm.substr(0, colon), who = algorithm.substr(colon + 1);
  if (name == "ring") return collectives::ring_all_reduce(ranks(who), elements, kChunk);
  std::vector<std::vector<Rank>> groups;
  for (const std::string& group : split(who, '/')) groups.push_back(ranks(group));
  const std::string gates = name.substr(std::string("hierarchical").size());
  return collectives::hierarchical_all_reduce(
      groups, elements, kChunk, gates.empty() ? collectives::kEveryMember : std::stoul(gates));
}

class Member {
 public:
  explicit Member(const Options& options)
      : options_(options), world_(static_cast<Rank>(options.hosts.size())), channels_(world_) {
    for (Rank rank = 0; rank < options.rank; ++rank) listen(rank);
    for (Rank rank = options.rank + 1; rank < world_; ++rank)
      loop_.post([this, rank] { dial(rank); });
    wait([this] { return joined_ + 1 == world_; });
  }
  ~Member() {
    // The others still wait for the word that we have taken what they sent.
    loop_.call([this] {
      for (auto& channel : channels_) {
        if (channel) channel->close(true);
      }
    });
    wait([this] { return closed_ == joined_; });
    loop_.call([this] {
      channels_.clear();
      listeners_.clear();
      early_.clear();
    });
    loop_.stop();
  }

  /// Seconds until this rank has finished.
  double all_reduce(const collectives::Schedule& schedule, std::vector<float>& values) {
    struct Work {
      std::unique_ptr<collectives::Operation> operation;
    };
    const Time began = system_clock().now();
    loop_.call([&] {
      const auto work = std::make_shared<Work>();
      work->operation = std::make_unique<collectives::Operation>(
          std::make_shared<const collectives::Schedule>(schedule), options_.rank, values);
      std::vector<link::Channel*> peers;
      for (auto& channel : channels_) peers.push_back(channel.get());
      ++kind_;
      operation_ = work->operation.get();
      courier_ = std::make_unique<collectives::ChannelCourier>(peers, kind_, work);
      work_ = work;
      operation_->run(*courier_);
      for (auto& [from, message] : std::exchange(early_, {})) take(from, std::move(message));
    });
    wait([this] { return operation_->finished(); });
    return seconds(system_clock().now() - began);
  }

 private:
  void listen(Rank dialler) {
    listeners_.push_back(
        link::tcp::Listener::listen(loop_, options_.hosts[options_.rank],
                                    static_cast<std::uint16_t>(options_.port + dialler),
                                    [this, dialler](auto link) { open(dialler, std::move(link)); })
            .value());
  }
  void dial(Rank rank) {
    const Deadline soon = system_clock().now() + std::chrono::seconds(5);
    link::tcp::dial(loop_, options_.hosts[rank],
                    static_cast<std::uint16_t>(options_.port + options_.rank), soon,
                    [this, rank](auto link) {
                      if (link.ok()) return open(rank, std::move(*link));
                      // It has not begun to listen yet.
                      loop_.at(system_clock().now() + std::chrono::milliseconds(50),
                               [this, rank] { dial(rank); });
                    });
  }
  void open(Rank rank, std::unique_ptr<link::Link> link) {
    loop_.post(
        [this, rank, shared = std::make_shared<std::unique_ptr<link::Link>>(std::move(link))] {
          (*shared)->set_frame_limit(link::kMaxFrame);
          channels_[rank] = link::PlainChannelForTests::create(std::move(*shared));
          channels_[rank]->start([this, rank](auto message) { take(rank, std::move(message)); },
                                 [this](const Error&) {
                                   ++closed_;
                                   changed();
                                 });
          ++joined_;
          changed();
        });
  }
  void take(Rank from, link::Message message) {
    if (message.kind != kind_) return early_.emplace_back(from, std::move(message)), void();
    const Status status = courier_->received(from, message, *operation_);
    CHECK(status.ok()) << status.error().text();
    changed();
  }
  void changed() {
    { const std::lock_guard lock(mutex_); }
    condition_.notify_all();
  }
  template <typename Condition>
  void wait(Condition condition) {
    std::unique_lock lock(mutex_);
    while (true) {
      bool met = false;
      lock.unlock();
      loop_.call([&] { met = condition(); });
      lock.lock();
      if (met) return;
      condition_.wait_for(lock, std::chrono::milliseconds(2));
    }
  }

  const Options& options_;
  const Rank world_;
  link::Loop loop_;
  std::vector<std::unique_ptr<link::tcp::Listener>> listeners_;
  std::vector<std::unique_ptr<link::Channel>> channels_;
  Rank joined_ = 0, closed_ = 0;
  std::uint16_t kind_ = 0;
  std::shared_ptr<void> work_;
  collectives::Operation* operation_ = nullptr;
  std::unique_ptr<collectives::ChannelCourier> courier_;
  std::vector<std::pair<Rank, link::Message>> early_;  ///< of an operation not begun here
  std::mutex mutex_;
  std::condition_variable condition_;
};

int run(const Options& options) {
  const auto world = static_cast<Rank>(options.hosts.size());
  const std::uint64_t elements = options.mib << 18;
  const collectives::Schedule schedule = schedule_of(options.algorithm, elements);
  const collectives::Schedule barrier = collectives::tree_all_reduce(world, 1, 1);
  Member member(options);
  std::vector<double> taken;
  std::vector<float> values(elements), flag(1);
  for (unsigned round = 0; round <= options.rounds; ++round) {
    for (std::size_t i = 0; i < elements; ++i)
      values[i] = static_cast<float>((i + options.rank + round) % 1024);
    member.all_reduce(barrier, flag);
    const double seconds = member.all_reduce(schedule, values);
    if (round > 0) taken.push_back(seconds);  // the first opens the windows of TCP
    for (std::size_t i = 0; i < elements; i += 97) {
      float right = 0;
      for (Rank rank = 0; rank < world; ++rank)
        right += static_cast<float>((i + rank + round) % 1024);
      CHECK_EQ(values[i], right) << "element " << i;
    }
  }
  member.all_reduce(barrier, flag);
  fmt::print("{{\"seconds\": [{}]}}\n", fmt::join(taken, ", "));
  return 0;
}

}  // namespace
}  // namespace reef::bench

int main(int count, char** arguments) {
  CLI::App app;
  reef::bench::Options options;
  app.add_option("--rank", options.rank)->required();
  app.add_option("--hosts", options.hosts)->delimiter(',')->required();
  app.add_option("--port", options.port);
  app.add_option("--algorithm", options.algorithm)->required();
  app.add_option("--mib", options.mib);
  app.add_option("--rounds", options.rounds);
  CLI11_PARSE(app, count, arguments);
  return reef::bench::run(options);
}
