#include "ops/tune/call_key.h"

namespace reef::ops::tune {

namespace {

/// One for each attribute that changes how much is done.
std::uint64_t flags_of(const Attributes& a) {
  std::uint64_t flags = static_cast<std::uint64_t>(a.product);
  flags = flags << 4 | static_cast<std::uint64_t>(a.activation);
  flags = flags << 1 | a.keep;
  flags = flags << 1 | a.causal;
  flags = flags << 1 | a.reverse;
  flags = flags << 1 | (a.draw.probability > 0);
  flags = flags << 8 | static_cast<std::uint64_t>(a.to);
  flags = flags << 8 | a.axis;
  return flags << 8 | a.axes;
}

std::array<std::int64_t, 9> numbers_of(const Window& w) {
  return {w.size[0],    w.size[1],     w.stride[0],   w.stride[1], w.padding[0],
          w.padding[1], w.dilation[0], w.dilation[1], w.groups};
}

std::int64_t elements_of(std::span<const Tensor> tensors) {
  std::int64_t elements = 0;
  for (const Tensor& tensor : tensors) elements += tensor.elements();
  return elements;
}

std::string text_of(const Tensor& tensor) {
  std::string text = std::string(name_of(tensor.dtype())) + " " + tensor.shape().text();
  if (!tensor.is_contiguous()) text += " " + std::string(name_of(tensor.layout()));
  return text;
}

std::string text_of(const Attributes& a) {
  constexpr std::string_view kProducts[] = {"nn", "nt", "tn"};
  constexpr std::string_view kActivations[] = {"", " gelu", " silu", " relu"};
  std::string text(kProducts[static_cast<std::size_t>(a.product)]);
  text += kActivations[static_cast<std::size_t>(a.activation)];
  if (a.keep) text += " keep";
  if (a.causal) text += " causal";
  if (a.reverse) text += " reverse";
  if (a.draw.probability > 0) text += " dropout";
  text += " to " + std::string(name_of(a.to));
  if (a.axis != 0) text += " axis " + std::to_string(a.axis);
  if (a.axes != 0) text += " axes " + std::to_string(a.axes);
  if (a.window != Window{}) {
    text += " window";
    for (const std::int64_t number : numbers_of(a.window)) text += " " + std::to_string(number);
  }
  return text;
}

}  // namespace

CallKey::CallKey(const Key& key, const Call& call) {
  std::uint64_t head = static_cast<std::uint64_t>(key.op);
  head = head << 8 | static_cast<std::uint64_t>(key.device);
  head = head << 8 | static_cast<std::uint64_t>(key.dtype);
  head = head << 8 | static_cast<std::uint64_t>(key.layout);
  head = head << 16 | call.in.size();
  add(head << 16 | call.context.threads());
  add(flags_of(call.attributes));
  if (is_update(key.op)) {
    add(static_cast<std::uint64_t>(elements_of(call.in)));
    add(call.out.size());
    return;
  }
  if (call.attributes.window != Window{}) {
    for (const std::int64_t number : numbers_of(call.attributes.window)) {
      add(static_cast<std::uint64_t>(number));
    }
  }
  for (const Tensor& tensor : call.in) add(tensor);
  for (const Tensor& tensor : call.out) add(tensor);
}

void CallKey::add(const Tensor& tensor) {
  const Shape& shape = tensor.shape();
  add(static_cast<std::uint64_t>(tensor.dtype()) << 16 |
      static_cast<std::uint64_t>(tensor.layout()) << 8 | shape.rank());
  for (const std::int64_t extent : shape.extents()) add(static_cast<std::uint64_t>(extent));
}

std::string text_of(const Key& key, const Call& call) {
  std::string text = key.text() + ": " + text_of(call.attributes) + ",";
  if (is_update(key.op)) {
    text += " " + std::to_string(elements_of(call.in)) + " elements in " +
            std::to_string(call.in.size()) + " tensors of " + std::to_string(call.out.size());
  } else {
    for (const Tensor& tensor : call.in) text += " " + text_of(tensor);
    text += " ->";
    for (const Tensor& tensor : call.out) text += " " + text_of(tensor);
  }
  const std::size_t threads = call.context.threads();
  return text + ", " + std::to_string(threads) + (threads == 1 ? " thread" : " threads");
}

}  // namespace reef::ops::tune
