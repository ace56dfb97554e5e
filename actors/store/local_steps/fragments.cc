#include "actors/store/local_steps/fragments.h"

#include <algorithm>

#include "ops/codec/edge.h"
#include "ops/nn/tensor_rank.h"

namespace reef::actors {

Fragments::Fragments(const nn::ModelSpec& spec, std::uint32_t count)
    : elements_(count, 0), parts_(count) {
  std::size_t all = 0;
  for (const nn::Layer& layer : spec.layers) {
    for (const nn::Parameter& parameter : layer.parameters)
      all += static_cast<std::size_t>(nn::whole_elements(parameter));
  }
  std::size_t before = 0;
  for (const nn::Layer& layer : spec.layers) {
    for (const nn::Parameter& parameter : layer.parameters) {
      const auto elements = static_cast<std::size_t>(nn::whole_elements(parameter));
      // Where its middle lies.
      const auto fragment = static_cast<std::uint32_t>((before + elements / 2) * count / all);
      places_[parameter.name] = {fragment, elements_[fragment]};
      elements_[fragment] += elements;
      parts_[fragment].push_back(codec::matrix_of(nn::whole_shape(parameter)));
      before += elements;
    }
  }
}

void Fragments::scatter(const plan::HeldSlice& held, std::span<const float> values,
                        std::span<float> fragment) const {
  const std::size_t begin = places_.at(held.parameter.name).first;
  nn::for_each_run(held.parameter, held.slice.first, held.slice.count,
                   [&](std::int64_t place, std::int64_t first, std::int64_t count) {
                     std::copy_n(values.begin() + place, count,
                                 fragment.begin() + static_cast<std::ptrdiff_t>(begin) + first);
                   });
}

void Fragments::gather(const plan::HeldSlice& held, std::span<const float> fragment,
                       std::span<float> values) const {
  const std::size_t begin = places_.at(held.parameter.name).first;
  nn::for_each_run(held.parameter, held.slice.first, held.slice.count,
                   [&](std::int64_t place, std::int64_t first, std::int64_t count) {
                     std::copy_n(fragment.begin() + static_cast<std::ptrdiff_t>(begin) + first,
                                 count, values.begin() + place);
                   });
}

}  // namespace reef::actors
