#include "scheduler/plan/gathered.h"

#include <algorithm>

namespace reef::plan {
namespace {

std::vector<nn::Parameter> owned(const nn::ModelSpec& spec, LayerRange layers) {
  std::vector<nn::Parameter> parameters;
  for (std::uint32_t i = layers.first; i < layers.last; ++i) {
    const auto& some = spec.layers[i].parameters;
    parameters.insert(parameters.end(), some.begin(), some.end());
  }
  std::ranges::sort(parameters, {}, &nn::Parameter::name);
  return parameters;
}

}  // namespace

std::vector<nn::Parameter> used_of_others(const nn::ModelSpec& spec, LayerRange layers) {
  std::vector<nn::Parameter> others;
  for (std::uint32_t owner = 0; owner < spec.layers.size(); ++owner) {
    if (owner >= layers.first && owner < layers.last) continue;
    for (const nn::Parameter& parameter : spec.layers[owner].parameters) {
      for (std::uint32_t i = layers.first; i < layers.last; ++i) {
        if (std::ranges::find(spec.layers[i].tied, parameter.name) == spec.layers[i].tied.end())
          continue;
        others.push_back(parameter);
        break;
      }
    }
  }
  std::ranges::sort(others, {}, &nn::Parameter::name);
  return others;
}

std::vector<nn::Parameter> gathered(const nn::ModelSpec& spec, LayerRange layers) {
  std::vector<nn::Parameter> parameters = owned(spec, layers);
  const std::vector<nn::Parameter> others = used_of_others(spec, layers);
  parameters.insert(parameters.end(), others.begin(), others.end());
  return parameters;
}

}  // namespace reef::plan
