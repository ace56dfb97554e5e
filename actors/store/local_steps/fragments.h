#pragma once
// Which parameters make up a fragment, the part of the weights that islands tell each other of at
// once, and where what a shard holds lies in it. A pure function of the whole model, so that
// islands of any layout mean the same.

#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "ops/codec/power_sgd.h"
#include "ops/nn/spec.h"
#include "scheduler/plan/pieces.h"

namespace reef::actors {

/// Neighbouring parameters in the order of layers, cut so that fragments have about equally many
/// elements; of more fragments than parameters some are empty.
/// Thread: immutable, any.
class Fragments {
 public:
  /// `spec` is of the whole model. Precondition: count is at least 1.
  Fragments(const nn::ModelSpec& spec, std::uint32_t count);

  std::uint32_t count() const { return static_cast<std::uint32_t>(elements_.size()); }
  std::size_t elements(std::uint32_t fragment) const { return elements_[fragment]; }
  /// Of its parameters, for codecs of low rank.
  const std::vector<codec::Matrix>& parts(std::uint32_t fragment) const { return parts_[fragment]; }
  /// Precondition: the model has a parameter of this name.
  std::uint32_t fragment_of(const std::string& parameter) const {
    return places_.at(parameter).fragment;
  }

  /// Into the whole fragment what a shard holds of it.
  void scatter(const plan::HeldSlice& held, std::span<const float> values,
               std::span<float> fragment) const;
  /// Out of the whole fragment what a shard holds of it.
  void gather(const plan::HeldSlice& held, std::span<const float> fragment,
              std::span<float> values) const;

 private:
  struct Place {
    std::uint32_t fragment = 0;
    std::size_t first = 0;
  };
  std::map<std::string, Place, std::less<>> places_;
  std::vector<std::size_t> elements_;
  std::vector<std::vector<codec::Matrix>> parts_;
};

}  // namespace reef::actors
