#include "ops/autograd/functions/vision.h"

#include "ops/autograd/functions/index.h"
#include "ops/autograd/functions/move.h"
#include "ops/autograd/functions/pointwise.h"
#include "ops/autograd/functions/reduce.h"
#include "ops/autograd/functions/support.h"
#include "ops/functional/functional.h"

namespace reef::ops {

namespace {

/// For sums over many places: bf16 and f16 in f32.
Variable widened(Context& context, Tape& tape, const Variable& x) {
  return cast(context, tape, x, sums_of(x.value.dtype()));
}

/// Over all but the channels.
Variable bias_grad(Context& context, Tape& tape, const Variable& grad) {
  const std::int64_t channels = grad.value.shape()[1];
  const Variable sum = sum_to(context, tape, widened(context, tape, grad), Shape{channels, 1, 1});
  return reshape(context, tape, sum, {channels});
}

/// What max_pool2d_grad adds at `places`, picked: the gradient of its gradient.
Variable pick(Context& context, Tape& tape, const Variable& x, const Tensor& places) {
  const Shape& from = x.value.shape();
  const Shape& to = places.shape();
  const Variable planes = reshape(context, tape, x, Shape{from[0], from[1], from[2] * from[3]});
  const Tensor index = contiguous(context, places).reshape({to[0], to[1], to[2] * to[3]});
  return reshape(context, tape, gather(context, tape, planes, 2, index), to);
}

}  // namespace

Variable conv2d(Context& context, Tape& tape, const Variable& x, const Variable& weight,
                const Variable& bias, const Window& window) {
  return tape.record(
      conv2d(context, x.value, weight.value, bias.value, window), {x, weight, bias},
      {kept_for(weight, x), kept_for(x, weight)},
      [window, input = x.value.shape(), kernel = weight.value.shape()](
          Context& context, const Variable& grad, Tape::Gradients& gradients) {
        Tape& tape = gradients.tape();
        if (gradients.wanted(2)) gradients.add(2, bias_grad(context, tape, grad));
        if (gradients.wanted(1)) {
          const Variable x = widened(context, tape, gradients.saved(0));
          gradients.add(1, conv2d_weight_grad(context, tape, x, widened(context, tape, grad),
                                              kernel, window));
        }
        if (gradients.wanted(0)) {
          gradients.add(0,
                        conv2d_input_grad(context, tape, gradients.saved(1), grad, input, window));
        }
      });
}

Variable conv2d_input_grad(Context& context, Tape& tape, const Variable& weight,
                           const Variable& grad, const Shape& x, const Window& window) {
  return tape.record(
      conv2d_input_grad(context, weight.value, grad.value, x, window), {weight, grad},
      {kept_for(grad, weight), kept_for(weight, grad)},
      [window, kernel = weight.value.shape()](Context& context, const Variable& grad,
                                              Tape::Gradients& gradients) {
        Tape& tape = gradients.tape();
        if (gradients.wanted(0)) {
          gradients.add(
              0, conv2d_weight_grad(context, tape, grad, gradients.saved(1), kernel, window));
        }
        if (gradients.wanted(1)) {
          gradients.add(1, conv2d(context, tape, grad, gradients.saved(0), {}, window));
        }
      });
}

Variable conv2d_weight_grad(Context& context, Tape& tape, const Variable& x, const Variable& grad,
                            const Shape& weight, const Window& window) {
  return tape.record(
      conv2d_weight_grad(context, x.value, grad.value, weight, window), {x, grad},
      {kept_for(grad, x), kept_for(x, grad)},
      [window, input = x.value.shape()](Context& context, const Variable& grad,
                                        Tape::Gradients& gradients) {
        Tape& tape = gradients.tape();
        if (gradients.wanted(0)) {
          gradients.add(0,
                        conv2d_input_grad(context, tape, grad, gradients.saved(1), input, window));
        }
        if (gradients.wanted(1)) {
          gradients.add(1, conv2d(context, tape, gradients.saved(0), grad, {}, window));
        }
      });
}

Variable max_pool2d(Context& context, Tape& tape, const Variable& x, const Window& window) {
  MaxPool2d result = max_pool2d(context, x.value, window);
  return tape.record(result.y, {x}, {constant(std::move(result.places))},
                     [window, shape = x.value.shape()](Context& context, const Variable& grad,
                                                       Tape::Gradients& gradients) {
                       gradients.add(
                           0, max_pool2d_grad(context, gradients.tape(), gradients.saved(0).value,
                                              grad, shape, window));
                     });
}

Variable max_pool2d_grad(Context& context, Tape& tape, const Tensor& places, const Variable& grad,
                         const Shape& x, const Window& window) {
  return tape.record(
      max_pool2d_grad(context, places, grad.value, x, window), {grad}, {constant(places)},
      [](Context& context, const Variable& grad, Tape::Gradients& gradients) {
        gradients.add(0, pick(context, gradients.tape(), grad, gradients.saved(0).value));
      });
}

Variable avg_pool2d(Context& context, Tape& tape, const Variable& x, const Window& window) {
  return tape.record(avg_pool2d(context, x.value, window), {x}, {},
                     [window, shape = x.value.shape()](Context& context, const Variable& grad,
                                                       Tape::Gradients& gradients) {
                       gradients.add(
                           0, avg_pool2d_grad(context, gradients.tape(), grad, shape, window));
                     });
}

Variable avg_pool2d_grad(Context& context, Tape& tape, const Variable& grad, const Shape& x,
                         const Window& window) {
  return tape.record(avg_pool2d_grad(context, grad.value, x, window), {grad}, {},
                     [window](Context& context, const Variable& grad, Tape::Gradients& gradients) {
                       gradients.add(0, avg_pool2d(context, gradients.tape(), grad, window));
                     });
}

}  // namespace reef::ops
