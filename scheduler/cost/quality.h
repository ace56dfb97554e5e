#pragma once
// What ways for datacenters to work together are expected to cost in quality, beside lock-step
// without codecs: the figures behind `datacenters: {mode: auto}`. Each is the share by which the
// loss is higher after as much text. They are few, rounded, and of models and lines that are not
// yours: small differences between modes mean nothing, and a job's loss guard looks at what came of
// it.

#include <cstdint>
#include <string_view>

namespace reef::cost {

/// More text for the same loss, as a share, where the loss would be higher by the share `loss`;
/// 1,000 where hardly any text makes up for it. By the fit of Hoffmann et al. 2022 (arXiv
/// 2203.15556; Besiroglu et al. 2024, 2404.10102, find nearly the same here), at 400 million
/// parameters and 8 billion tokens: L = 1.69 + 406.4 / N^0.34 + 410.7 / D^0.28, so one percent of
/// the loss is 16 of the text, and three are 59.
double text_for_loss(double loss);

/// Gradients, or what islands tell, packed by it.
///   none and zstd    0
///   bf16, fp8, int8  1.2e-4: the farthest that a loss was off over 20 steps (docs/performance.md)
///   int4             4.7e-3: the same. Of islands, which remember what was rounded away, nothing:
///                    4 bits lost nothing in Streaming DiLoCo (Douillard et al. 2025, 2501.18512)
///   top-k, power-sgd 5e-3: an allowance. They are said to lose nothing (Lin et al. 2017,
///                    1712.01887; Vogels et al. 2019, 1905.13727), with SGD and models that are no
///                    transformers; not measured here yet. Of islands 2e-3, an allowance, too:
///                    top-k with 2 bits lost nothing against islands that pack nothing, in place of
///                    outer momentum (Sarfi et al. 2025, 2508.15706)
double loss_of_codec(std::string_view codec, bool of_islands);

struct LocalStepsOf {
  std::uint32_t datacenters = 2;
  double inner_steps = 32;  ///< that will come of it
  double delay = 2;         ///< steps from a telling to its update
};
/// Local steps by themselves.
///   datacenters      0.5, 1.5, 3.1 % with 2, 4, 8: Charles et al. 2025 (2503.09799), 90 million
///                    parameters, as much text, each with its best batch and learning rates, 30
///                    inner steps; less for larger models, of which 2.4 billion lost nothing with
///                    two
///   inner steps      0.4 % for each doubling: from 30 to 100 the loss rose by 0.3 to 0.8 % with
///   two
///                    (Douillard et al. 2025, 2501.18512, 35 million to a billion parameters). From
///                    50 to 1000 it was 0.24 % for each, in a model that had been trained before
///                    (Douillard et al. 2023, 2311.08105)
///   delay            nothing for 5 steps, then 0.2 % for each doubling: under 0.2 % for 10 steps
///                    (2501.18512); beyond that it is assumed
/// At least 0.3 %: as much do our own short runs scatter, two datacenters, H 16: 0.997 and 1.001 of
/// lock-step's loss (docs/performance.md).
double loss_of_local_steps(const LocalStepsOf& local);

}  // namespace reef::cost
