#include "actors/sync/exchanges.h"

#include <algorithm>
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
      const std::uint32_t first = sync.replica >> act << act;
      exchange.name = "r" + std::to_string(first) + ".k" + std::to_string(act);
      exchange.saved = sync.replica == first;
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
