#pragma once
// An attention layer where ranks share sequences: open, then the ring (ring_attention.h), then
// close. Open and close read and write the same positions, so that they need nothing of other
// ranks; between them keys and values travel, which no tape can wait for. Hence a tape each.
//
//   forward   qkv = open(x)    out = ring(qkv)    y = close(out, x)
//   backward  (grad_out, grad_x) = close_backward(grad_y)    grad_qkv = ring(grad_out)
//             grad_x = open_backward(grad_qkv, grad_x)
//
// The other layers are those of Stage, with Sample::share where positions count.
// Thread: immutable, any thread; a Tape belongs to one micro-batch and is gone before this.
// Memory: open's tape keeps what the norm and the products need, close's what its product needs
// (out and nothing else), both also of a layer that is recomputed.

#include <cstddef>
#include <memory>

#include "ops/autograd/tape.h"
#include "ops/nn/pass.h"
#include "ops/nn/spec.h"

namespace reef::nn {

/// Two segments of one layer of a model.
class AttentionSegments {
 public:
  /// `layer` is the layer's place in the spec; its kind is attention.
  AttentionSegments(const ModelSpec& spec, std::size_t layer);

  /// x (B, L, C), the `sample.share` of each sequence -> queries, keys and values side by side,
  /// (B, L, H + 2 G, D). `tape` receives what backward needs; null keeps nothing.
  ops::Tensor open(ops::Context& context, const Parameters& weights, const ops::Tensor& x,
                   const Sample& sample, std::unique_ptr<ops::Tape>* tape) const;
  /// out (B, L, H, D) and x -> the layer's output (B, L, C).
  ops::Tensor close(ops::Context& context, const Parameters& weights, const ops::Tensor& out,
                    const ops::Tensor& x, const Sample& sample,
                    std::unique_ptr<ops::Tape>* tape) const;

  struct CloseGrads {
    ops::Tensor out;
    ops::Tensor x;  ///< past the attention; undefined of tensor-parallel ranks but the first
  };
  /// Consumes `tape`. `later` receives the gradients of weights, as Stage::backward_input() says.
  CloseGrads close_backward(ops::Context& context, const Parameters& weights, ops::Tape& tape,
                            const ops::Tensor& grad_output, ops::LaterGradients& later) const;
  /// Likewise. `past` is CloseGrads::x. Returns the gradient of x by both ways.
  ops::Tensor open_backward(ops::Context& context, const Parameters& weights, ops::Tape& tape,
                            const ops::Tensor& grad_qkv, const ops::Tensor& past,
                            ops::LaterGradients& later) const;

 private:
  ModelConfig config_;
  TensorRank tensor_;
  Layer layer_;
};

}  // namespace reef::nn
