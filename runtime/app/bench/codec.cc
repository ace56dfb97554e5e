// What codecs cost beside a copy of the same bytes, and what they leave of pseudo-gradients: of the
// differences between weights that are some steps apart.

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <functional>
#include <iostream>
#include <thread>

#include "actors/data/batch_reader.h"
#include "ops/codec/measure.h"
#include "ops/codec/top_k.h"
#include "ops/cpu/thread_pool.h"
#include "ops/functional/functional.h"
#include "ops/nn/trainer.h"
#include "runtime/app/bench/bench.h"
#include "runtime/base/random.h"

namespace reef::app {

namespace {

using codec::Codec;
using codec::Lossy;

/// Twice the last-level cache of large servers.
constexpr std::size_t kElements = 16 << 20;
constexpr std::size_t kPattern = 1 << 20;

struct CodecOptions {
  std::string job = "configs/jobs/quickstart.yaml";
  std::uint64_t apart = 30;
  std::uint64_t differences = 3;
  std::uint32_t rounds = 15;
  bool all = false;
  bool json = false;
};

/// Normal values under a scale that changes from run to run, as from layer to layer.
std::vector<float> gradient_like() {
  const Random random(1, "bench/codec");
  std::vector<float> values(kElements);
  for (std::size_t i = 0; i < kPattern; ++i) values[i] = 1e-3f * random.normal(0, i);
  for (std::size_t i = kPattern; i < kElements; ++i) {
    values[i] = values[i - kPattern] * (i / 4096 % 3 == 0 ? 0.75f : 1.25f);
  }
  return values;
}

double seconds_of(const std::function<void()>& work) {
  const Time start = system_clock().now();
  work();
  return seconds(system_clock().now() - start);
}

struct Timed {
  std::string name;
  double target = 0;
  std::function<void()> work;
  std::vector<double> taken = {};
};

/// Rates in GB/s of fp32, taken in turns.
void bench_speed(const CodecOptions& options) {
  const std::vector<float> values = gradient_like();
  std::vector<float> out(kElements), residual(kElements);
  Bytes encoded, int8, int4;
  codec::encode({Lossy::kInt8, false}, std::span<const float>(values), int8);
  codec::encode({Lossy::kInt4, false}, std::span<const float>(values), int4);
  const Codec two_bits{Lossy::kInt2, false};
  codec::TopKCoder top({0.01, {Lossy::kInt8, false}}), sparse({0.01, two_bits}),
      chunks({0.01, two_bits, 4096});
  std::vector<float> sparse_residual(kElements), chunks_residual(kElements);
  Bytes kept;
  sparse.encode(values, kept);
  const auto encode = [&values, &encoded](Codec codec) {
    codec::encode(codec, std::span<const float>(values), encoded);
  };
  const auto decode = [&out](Codec codec, const Bytes& from) {
    CHECK(codec::decode(codec, from, std::span<float>(out)).ok());
  };
  std::vector<Timed> sides{
      {"memcpy", 0, [&] { std::memcpy(out.data(), values.data(), kElements * sizeof(float)); }},
      {"codec-int8-encode", 0.5,
       [&] {
         encode({Lossy::kInt8, false});
       }},
      {"codec-int8-decode", 0.5,
       [&] {
         decode({Lossy::kInt8, false}, int8);
       }},
      {"codec-int4-encode", 0.35,
       [&] {
         encode({Lossy::kInt4, false});
       }},
      {"codec-int4-decode", 0.35,
       [&] {
         decode({Lossy::kInt4, false}, int4);
       }},
      {"codec-topk-encode", 0.3, [&] { top.encode(values, residual, encoded); }},
      {"codec-topk-int2-encode", 0.3, [&] { sparse.encode(values, sparse_residual, encoded); }},
      {"codec-topk-chunk-encode", 0.3, [&] { chunks.encode(values, chunks_residual, encoded); }},
      {"codec-topk-int2-decode", 0.5, [&] { CHECK(sparse.decode(kept, out).ok()); }}};
  for (std::uint32_t round = 0; round <= options.rounds; ++round) {
    for (Timed& side : sides) {
      const double taken = seconds_of(side.work);
      if (round > 0) side.taken.push_back(taken);  // the first brings memory in
    }
  }
  const auto rate = [](const Timed& side) {
    return kElements * sizeof(float) / median(side.taken) / 1e9;
  };
  for (std::size_t i = 1; i < sides.size(); ++i) {
    print_row({.name = sides[i].name,
               .ours = rate(sides[i]),
               .theirs = rate(sides[0]),
               .target = sides[i].target,
               .at_least = true},
              options.json);
  }
}

/// All masters as one run of elements, by name.
std::vector<float> flat(const nn::Parameters& masters) {
  std::vector<float> all;
  for (const auto& [name, tensor] : masters) {
    const auto values = tensor.values<float>();
    all.insert(all.end(), values.begin(), values.end());
  }
  return all;
}

/// The job in one process and in a plain loop: its data, batch, learning rate and clipping.
class Training {
 public:
  static Result<std::unique_ptr<Training>> open(const std::string& path) {
    ATOLL_ASSIGN(job::Job job, job::read_job(path));
    ATOLL_TRY(job::check_trains(job));
    // One leaf as large as all of them: the same gradient but for the order of its sum.
    job.training.sequences_per_leaf *= std::exchange(job.training.leaves, 1);
    ATOLL_ASSIGN(auto reader, actors::BatchReader::open(job));
    return std::unique_ptr<Training>(new Training(std::move(job), std::move(reader)));
  }

  Status step() {
    Round round;
    round.step = ++step_;
    ATOLL_ASSIGN(const auto batch, reader_.read(context_, context_.pool(), round, 0));
    trainer_.differentiate(batch.tokens, batch.targets, step_);
    double squares = 0;
    for (const auto& [name, gradient] : trainer_.gradients()) {
      squares += ops::square_sum(context_, gradient);
    }
    const double limit = job_.optimizer.clip_norm;
    const double norm = std::sqrt(squares);
    ops::Update factors;
    factors.lr = static_cast<float>(job::learning_rate(job_.optimizer, step_, job_.training.steps));
    factors.beta1 = static_cast<float>(job_.optimizer.beta1);
    factors.beta2 = static_cast<float>(job_.optimizer.beta2);
    factors.epsilon = static_cast<float>(job_.optimizer.epsilon);
    factors.weight_decay = static_cast<float>(job_.optimizer.weight_decay);
    factors.grad_scale = limit > 0 && norm > limit ? static_cast<float>(limit / norm) : 1.0f;
    factors.step = static_cast<std::int64_t>(step_);
    trainer_.update(factors);
    return {};
  }

  std::vector<float> weights() const { return flat(trainer_.masters()); }

 private:
  Training(job::Job job, actors::BatchReader reader)
      : job_(std::move(job)),
        reader_(std::move(reader)),
        context_(std::max(1u, std::thread::hardware_concurrency())),
        trainer_(context_, job_.model, job_.training.precision, job_.training.seed) {}

  job::Job job_;
  actors::BatchReader reader_;
  ops::ThreadPool context_;
  nn::Trainer trainer_;
  std::uint64_t step_ = 0;
};

/// How far weights move in `apart` steps, `differences` times in a row. The first `apart` steps are
/// left out: in them everything moves.
Result<std::vector<std::vector<float>>> pseudo_gradients(const CodecOptions& options) {
  ATOLL_ASSIGN(const auto training, Training::open(options.job));
  std::vector<std::vector<float>> all;
  std::vector<float> before;
  for (std::uint64_t part = 0; part <= options.differences; ++part) {
    for (std::uint64_t i = 0; i < options.apart; ++i) ATOLL_TRY(training->step());
    std::vector<float> now = training->weights();
    if (part > 0) {
      std::vector<float>& difference = all.emplace_back(now.size());
      std::transform(before.begin(), before.end(), now.begin(), difference.begin(), std::minus<>());
    }
    before = std::move(now);
  }
  return all;
}

void print_bytes(const std::string& name, double encoded, double raw, double target, bool json) {
  print_row({.name = name, .ours = encoded, .theirs = raw, .target = target}, json);
}

/// Every codec of an edge on these values: what the scheduler's cost model has in figures, and what
/// choose() would take for one message of them on some lines.
void print_all(std::span<const float> values) {
  const auto measured = codec::measure(values, codec::edge_codecs(), system_clock());
  for (const codec::Measured& one : measured) {
    std::cout << fmt::format(R"({{"codec":"{}","ratio":{:.4f},"encode_gb_s":{:.3f},)"
                             R"("decode_gb_s":{:.3f},"error":{:.2e}}})",
                             codec::name(one.codec), one.ratio, 1e-9 / one.encode_seconds,
                             1e-9 / one.decode_seconds, one.error)
              << std::endl;
  }
  for (const codec::LineMeasured& line :
       {codec::LineMeasured{50e6, 0.1}, codec::LineMeasured{1e9, 0.02},
        codec::LineMeasured{10e9, 1e-3}, codec::LineMeasured{100e9, 1e-5}}) {
    for (const double error : {0.0, 5e-3, 1e-2, 0.2}) {
      const auto bytes = static_cast<double>(values.size_bytes());
      const auto choice = codec::choose(measured, line, {bytes, 2, error});
      std::cout
          << fmt::format(
                 R"({{"mbit_s":{:g},"round_trip_ms":{:g},"largest_error":{:g},"codec":"{}"}})",
                 line.bits_per_second / 1e6, line.round_trip_seconds * 1e3, error,
                 choice ? codec::name(choice->codec) : "")
          << std::endl;
    }
  }
}

Status bench_bytes(const CodecOptions& options) {
  ATOLL_ASSIGN(const auto differences, pseudo_gradients(options));
  const std::size_t elements = differences[0].size();
  const double raw =
      static_cast<double>(elements * sizeof(float)) * static_cast<double>(differences.size());
  Bytes encoded;
  for (const auto& [name, target] : {std::pair{"bf16+zstd", 0.35}, std::pair{"int8+zstd", 0.24}}) {
    ATOLL_ASSIGN(const Codec codec, codec::parse(name));
    double bytes = 0;
    for (const auto& difference : differences) {
      codec::encode(codec, std::span<const float>(difference), encoded);
      bytes += static_cast<double>(encoded.size());
    }
    print_bytes(std::string("codec-bytes-") + name, bytes, raw, target, options.json);
  }
  for (const auto& [name, top_k, target] :
       {std::tuple{"topk", codec::TopK{0.015, {Lossy::kInt8, true}}, 0.03},
        std::tuple{"topk-int2", codec::top_k_in_two_bits(0.01), 0.01}}) {
    codec::TopKCoder coder(top_k);
    std::vector<float> residual(elements);
    double bytes = 0;
    for (const auto& difference : differences) {
      coder.encode(difference, residual, encoded);
      bytes += static_cast<double>(encoded.size());
    }
    print_bytes(std::string("codec-bytes-") + name, bytes, raw, target, options.json);
  }
  if (options.all) print_all(differences.back());
  return {};
}

Result<int> bench_codec(const CodecOptions& options) {
  bench_speed(options);
  ATOLL_TRY(bench_bytes(options));
  return 0;
}

}  // namespace

void add_bench_codec(CLI::App& bench, Action& action) {
  auto options = std::make_shared<CodecOptions>();
  CLI::App* command = bench.add_subcommand(
      "codec", "Codecs against a copy of the same bytes, and what they leave of pseudo-gradients");
  command->add_option("--job", options->job, "Job whose pseudo-gradients are encoded")
      ->capture_default_str();
  command->add_option("--apart", options->apart, "Steps between the weights that are subtracted")
      ->capture_default_str()
      ->check(CLI::Range(1, 100000));
  command->add_option("--differences", options->differences, "Pseudo-gradients in a row")
      ->capture_default_str()
      ->check(CLI::Range(1, 1000));
  command->add_option("--rounds", options->rounds, "Turns that each side takes")
      ->capture_default_str()
      ->check(CLI::Range(1, 1000));
  command->add_flag(
      "--all", options->all,
      "Also speed, size and error of every codec of an edge, and the choice for some lines");
  command->add_flag("--json", options->json, "Print a line of JSON a row");
  command->callback([options, &action] { action = [options] { return bench_codec(*options); }; });
}

}  // namespace reef::app
