// What an island makes of letters of another: any kinds, numbers and payloads, in any order,
// between tellings, updates and moves of homes of its own.

#include "actors/store/local_steps/exchange.h"

#include <spdlog/spdlog.h>

#include <cmath>

#include "ops/nn/config.h"
#include "scheduler/service/homes.h"
#include "tests/fuzz/fuzz.h"

using namespace reef;

namespace {

constexpr std::uint32_t kFragments = 2;
constexpr std::size_t kIslands = 3;

const actors::Fragments& fragments() {
  static const actors::Fragments made = [] {
    nn::GptConfig gpt;
    gpt.vocab_size = 8;
    gpt.n_positions = 4;
    gpt.n_embd = 4;
    gpt.n_layer = 1;
    gpt.n_head = 1;
    return actors::Fragments(nn::model_spec(gpt, nn::Precision::kF32, nn::Recompute::kNone, 4),
                             kFragments);
  }();
  return made;
}

job::LocalSteps local(fuzz::Input& input) {
  constexpr const char* kCodecs[] = {"none", "int4+zstd", "top-k:0.1", "power-sgd:1"};
  job::LocalSteps local;
  local.codec = kCodecs[input.below(std::size(kCodecs))];
  local.quorum = 1 + static_cast<std::uint32_t>(input.below(2));
  local.grace = std::chrono::seconds(input.below(3));
  if (input.below(2) == 1) local.loss_guard = 0.02;
  return local;
}

node::Letter letter(fuzz::Input& input, const job::LocalSteps& local) {
  node::Letter letter;
  letter.kind = static_cast<std::uint16_t>(input.below(19));
  letter.fragment = static_cast<std::uint32_t>(input.below(kFragments + 1));
  // Often the next that is expected.
  letter.number = input.below(2) == 0 ? input.below(4) : input.number<std::uint64_t>();
  letter.included = input.below(2) == 0 ? input.below(4) : input.number<std::uint64_t>();
  letter.tokens = input.below(2) == 0 ? input.below(4) : input.number<std::uint64_t>();
  const auto kind = static_cast<actors::LetterKind>(letter.kind);
  const bool update =
      kind == actors::LetterKind::kUpdate || kind == actors::LetterKind::kLastUpdate;
  const bool last = kind == actors::LetterKind::kLastProgress;
  const codec::EdgeCodec codec = codec::parse_edge(local.codec).value();
  letter.codec = last ? codec::name(actors::of_last(codec)) : codec::name(codec);
  if (input.below(8) == 0) letter.codec = "int8";
  const std::size_t elements = fragments().elements(letter.fragment % kFragments);
  if (input.below(2) == 0) {
    letter.payload = to_bytes(input.piece());
    return letter;
  }
  // An honest one of values that need not be.
  std::vector<float> values(elements, input.number<float>());
  values[0] = input.number<float>();
  if (kind == actors::LetterKind::kSnapshot || kind == actors::LetterKind::kReplica) {
    values.resize(2 * elements, input.number<float>());
    letter.payload = to_bytes(std::as_bytes(std::span(values)));
    return letter;
  }
  actors::Coder coder(codec, fragments().parts(letter.fragment % kFragments));
  if (!update) {
    letter.payload = coder.encode(values, last);
    return letter;
  }
  const bool passes_on = job::passes_on(local, kIslands);
  for (std::size_t told = input.below(4); told > 0; --told) {
    const bool is_last = input.below(8) == 0;
    const auto island = static_cast<std::uint32_t>(input.below(kIslands + 1));
    const actors::Told one{passes_on ? island : actors::kTogether, is_last, 4 - told,
                           input.below(99), coder.encode(values, is_last)};
    actors::append(letter.payload, one);
  }
  return letter;
}

}  // namespace

// What is refused is logged, which would take more time than to refuse it.
extern "C" int LLVMFuzzerInitialize(int*, char***) {
  spdlog::set_level(spdlog::level::off);
  return 0;
}

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  fuzz::Input input(data, size);
  const job::LocalSteps settings = local(input);
  std::vector<std::vector<float>> weights;
  for (std::uint32_t f = 0; f < kFragments; ++f)
    weights.emplace_back(fragments().elements(f), 0.5f);
  const auto begun = static_cast<std::uint32_t>(input.below(2));
  Time now{};
  actors::Exchange exchange(
      settings, job::Island{0, {"a", "b", "c"}, begun}, fragments(), weights,
      [](std::uint32_t, node::Letter) { return true; }, now);
  service::Homes homes(3);
  for (int turn = 0; turn < 64 && !input.empty(); ++turn) {
    const auto island = static_cast<std::uint32_t>(input.below(4));
    switch (input.below(5)) {
      case 4:
        homes.lose(static_cast<std::uint32_t>(input.below(3)),
                   {static_cast<std::uint32_t>(input.below(3))});
        // Whoever has been given up ends.
        if (!exchange
                 .set_company({{static_cast<std::uint32_t>(input.below(3))}, homes.places()}, now)
                 .ok())
          return 0;
        break;
      case 0:
        exchange.handle({{island, input.below(2) == 0, {}}}, now);
        break;
      case 1: {
        const auto f = static_cast<std::uint32_t>(input.below(kFragments));
        exchange.trained(64, static_cast<std::uint64_t>(turn));
        exchange.tell(f, weights[f], input.below(4) == 0, now);
        // No step was longer than all turns together.
        const Duration kept = exchange.lead().stepped(now);
        CHECK(kept >= Duration{} && kept <= std::chrono::seconds(2 * 2 * 64)) << "waits too long";
        break;
      }
      default:
        exchange.handle({{island, std::nullopt, letter(input, settings)}}, now);
    }
    now += std::chrono::milliseconds(100 * input.below(20));
    exchange.update(now);
    for (std::uint32_t f = 0; f < kFragments; ++f) {
      if (!exchange.corrects(f)) continue;
      const auto correction = exchange.correction(f);
      for (std::size_t i = 0; i < correction.size(); ++i) {
        weights[f][i] += correction[i];
        CHECK(std::isfinite(weights[f][i])) << "a letter made a weight no number";
      }
    }
  }
  (void)exchange.finished(now);
  return 0;
}
