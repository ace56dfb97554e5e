#include "actors/sync/exchanges.h"

#include <algorithm>
#include <charconv>
#include <tuple>

#include "actors/checkpoint/format/checkpoint.h"
#include "ops/codec/edge.h"
#include "ops/nn/stage.h"

namespace reef::actors {
namespace {

bool remembers(const std::string& codec) {
  const auto known = codec::parse_edge(codec);
  return known.ok() && codec::has_feedback(*known);
}

constexpr std::uint32_t kMostStrips = 1 << 16;
constexpr std::string_view kOf = "of";  ///< "1of2": the second of two strips

bool is_tied_use(const std::string& gradient) { return gradient.find('@') != std::string::npos; }

ops::Shape shape_of(const nn::ModelSpec& model, const std::string& gradient) {
  const std::string name = gradient.substr(0, gradient.find('@'));
  for (const nn::Layer& layer : model.layers) {
    for (const nn::Parameter& parameter : layer.parameters) {
      if (parameter.name == name) return ops::Shape(parameter.shape);
    }
  }
  CHECK(false) << gradient;
  return {};
}

}  // namespace

std::vector<Exchange> exchanges_of(const plan::Plan& plan, const plan::Actor& sync) {
  const plan::SyncSteps steps = plan::sync_steps(plan, sync);
  std::vector<Exchange> exchanges;
  for (std::size_t act = 0; act < sync.acts.size(); ++act) {
    const auto& outputs = sync.acts[act].outputs;
    const bool last = act + 1 == sync.acts.size();
    const std::size_t output = last ? 1 : 0;
    if (outputs.size() <= output) continue;
    const plan::Edge& edge = plan.edges[outputs[output].edge];
    if (edge.content != plan::Content::kGradient || !remembers(edge.codec)) continue;
    Exchange exchange{act, output, last, edge.codec, "tied", sync.replica == 0};
    if (!last) {
      const auto at = static_cast<std::uint32_t>(act);
      const std::uint32_t first = steps.first_alike(sync.replica, at);
      exchange.name = "r" + std::to_string(first) + ".k" + std::to_string(act);
      exchange.saved = sync.replica == first;
      exchange.strips = steps.strips();
      exchange.strip = steps.given(sync.replica, at);
      if (exchange.strip.count < exchange.strips) {
        exchange.name += "." + std::to_string(exchange.strip.first) + std::string(kOf) +
                         std::to_string(exchange.strips);
      }
    }
    exchanges.push_back(std::move(exchange));
  }
  return exchanges;
}

std::vector<Gradient> gradients_of(const nn::ModelSpec& model, const plan::Actor& sync, bool tied) {
  return gradients_of(model, plan::LayerRange{sync.first_layer, sync.last_layer}, tied);
}

std::vector<Gradient> gradients_of(const nn::ModelSpec& model, plan::LayerRange layers, bool tied) {
  const nn::Stage stage(model, layers.first, layers.last);
  std::vector<Gradient> gradients;
  for (const std::string& name : gradient_names(stage)) {
    if (!tied || is_tied_use(name)) gradients.push_back({name, shape_of(model, name)});
  }
  return gradients;
}

std::vector<Gradient> gradients_of(const nn::ModelSpec& model, const plan::Actor& sync,
                                   const Exchange& exchange) {
  std::vector<Gradient> parts;
  for (const Gradient& whole : gradients_of(model, sync, exchange.tied)) {
    const ops::Shape part = part_of(whole.shape, exchange.strips, exchange.strip);
    if (part.elements() > 0) parts.push_back({whole.name, part});
  }
  return parts;
}

ops::Shape part_of(const ops::Shape& gradient, std::uint32_t strips, plan::Strip held) {
  if (held.count == strips) return gradient;
  const codec::Matrix matrix = codec::matrix_of(gradient.extents());
  const codec::Matrix part = plan::part_of(matrix, strips, held);
  const auto columns = static_cast<std::int64_t>(part.columns);
  return matrix.rows > 1 ? ops::Shape{static_cast<std::int64_t>(part.rows), columns}
                         : ops::Shape{columns};
}

std::int64_t first_of(const ops::Shape& gradient, std::uint32_t strips, plan::Strip held) {
  const codec::Matrix matrix = codec::matrix_of(gradient.extents());
  const std::uint64_t line = plan::lines_of(matrix, strips, held).first;
  return static_cast<std::int64_t>(matrix.rows > 1 ? line * matrix.columns : line);
}

std::size_t warm_elements(const std::vector<Gradient>& gradients, const Exchange& exchange) {
  std::vector<codec::Matrix> parts;
  for (const Gradient& gradient : gradients)
    parts.push_back(codec::matrix_of(gradient.shape.extents()));
  return codec::warm_elements(codec::parse_edge(exchange.codec).value(), parts);
}

std::vector<const plan::Actor*> remembering(const plan::Plan& plan) {
  std::vector<const plan::Actor*> syncs;
  for (const plan::Actor& actor : plan.actors) {
    if (actor.kind != plan::ActorKind::kGradientSync) continue;
    const auto exchanges = exchanges_of(plan, actor);
    if (std::ranges::any_of(exchanges, &Exchange::saved)) syncs.push_back(&actor);
  }
  std::ranges::sort(syncs, {}, [](const auto* sync) {
    return std::tuple(sync->replica, sync->stage, sync->first_layer);
  });
  return syncs;
}

std::string residual_name(const Gradient& gradient, const Exchange& exchange) {
  return gradient.name + std::string(checkpoint::kResidual) + exchange.name;
}

Result<Exchange> exchange_named(std::string_view residual) {
  Exchange exchange;
  const std::string_view strip = residual.substr(residual.rfind('.') + 1);
  const std::size_t of = strip.find(kOf);
  if (of == std::string_view::npos) return exchange;
  const auto number = [](std::string_view digits) {
    std::uint32_t value = 0;
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
    return error == std::errc() && end == digits.data() + digits.size() ? value : UINT32_MAX;
  };
  exchange.strip = {number(strip.substr(0, of)), 1};
  exchange.strips = number(strip.substr(of + kOf.size()));
  if (exchange.strips > kMostStrips || exchange.strip.first >= exchange.strips)
    return Error{Code::kCheckpoint, std::string(residual), "is of no strip that there can be"};
  return exchange;
}

std::string warm_name(const plan::Plan& plan, const plan::Actor& sync, const Exchange& exchange) {
  const bool inner = std::ranges::binary_search(plan.buckets, sync.first_layer);
  return "s" + std::to_string(sync.stage) + (inner ? ".l" + std::to_string(sync.first_layer) : "") +
         std::string(checkpoint::kWarm) + exchange.name;
}

nlohmann::json feedback_signature(const plan::Plan& plan) {
  nlohmann::json signature;
  for (const plan::Actor* sync : remembering(plan)) {
    for (const Exchange& exchange : exchanges_of(plan, *sync)) {
      if (!exchange.saved) continue;
      signature.push_back({{"replicas", plan.replicas},
                           {"stage", sync->stage},
                           {"firstLayer", sync->first_layer},
                           {"lastLayer", sync->last_layer},
                           {"exchange", exchange.name},
                           {"codec", exchange.codec}});
    }
  }
  return signature;
}

}  // namespace reef::actors
