#include "ops/cpu/onednn/convolution.h"

#include "ops/cpu/onednn/cache.h"
#include "runtime/base/check.h"

namespace reef::ops::cpu::onednn {

namespace {

using dnnl::memory;

constexpr auto kAlgorithm = dnnl::algorithm::convolution_direct;
constexpr std::size_t kAlignment = 64;

std::size_t aligned(std::size_t bytes) {
  return (bytes + kAlignment - 1) / kAlignment * kAlignment;
}

memory::dims dims_of(const std::array<std::int64_t, 4>& values) {
  return {values.begin(), values.end()};
}
memory::desc given(const Placed& tensor) {
  return {dims_of(tensor.extents), memory::data_type::f32, dims_of(tensor.strides)};
}
/// Groups are an axis of their own.
memory::desc given_weight(const Placed& weight, std::int64_t groups) {
  if (groups == 1) return given(weight);
  memory::dims extents = dims_of(weight.extents);
  memory::dims strides = dims_of(weight.strides);
  extents[0] /= groups;
  strides.insert(strides.begin(), strides[0] * extents[0]);
  extents.insert(extents.begin(), groups);
  return {extents, memory::data_type::f32, strides};
}
/// The same, lying as the kernel likes best.
memory::desc any(const memory::desc& desc) {
  return {desc.dims(), desc.data_type(), memory::format_tag::any};
}

memory::dims pair(const std::array<std::int64_t, 2>& values) { return {values[0], values[1]}; }

/// The forms and the window from which oneDNN makes each of its descriptions.
struct Description {
  memory::desc image, weight, bias, result;
  memory::dims stride, dilation, padding;

  auto forward() const {
    const auto kind = dnnl::prop_kind::forward_training;
    using Desc = dnnl::convolution_forward::desc;
    return dnnl::convolution_forward::primitive_desc(
        bias.get_size() == 0
            ? Desc(kind, kAlgorithm, image, weight, result, stride, dilation, padding, padding)
            : Desc(kind, kAlgorithm, image, weight, bias, result, stride, dilation, padding,
                   padding),
        caller_keeps_scratch(), engine());
  }
  auto image_grad() const {
    using Pass = dnnl::convolution_backward_data;
    return Pass::primitive_desc(
        Pass::desc(kAlgorithm, image, weight, result, stride, dilation, padding, padding),
        caller_keeps_scratch(), engine(), forward());
  }
  auto weight_grad() const {
    using Pass = dnnl::convolution_backward_weights;
    return Pass::primitive_desc(
        Pass::desc(kAlgorithm, image, weight, result, stride, dilation, padding, padding),
        caller_keeps_scratch(), engine(), forward());
  }
};

}  // namespace

Packing::Packing(const memory::desc& given, const memory::desc& wanted, bool is_written)
    : given_(given), wanted_(wanted), is_written_(is_written) {
  if (bytes() == 0) return;
  const memory::desc& from = is_written ? wanted : given;
  const memory::desc& to = is_written ? given : wanted;
  reorder_ = dnnl::reorder(dnnl::reorder::primitive_desc(engine(), from, engine(), to));
}

void Packing::run(void* given, void* wanted) const {
  execute(reorder_, {{is_written_ ? DNNL_ARG_TO : DNNL_ARG_FROM, view(given_, given)},
                     {is_written_ ? DNNL_ARG_FROM : DNNL_ARG_TO, view(wanted_, wanted)}});
}

std::shared_ptr<const Convolution> Convolution::make(const ConvolutionKey& key) {
  std::shared_ptr<Convolution> made(new Convolution);
  const memory::desc image = given(key.image);
  const memory::desc weight = given_weight(key.weight, key.groups);
  const memory::desc result = given(key.result);
  if (key.has_bias) {
    made->bias_ = {{key.result.extents[1]}, memory::data_type::f32, memory::format_tag::x};
  }
  const Description description{any(image),       any(weight),
                                made->bias_,      any(result),
                                pair(key.stride), {key.dilation[0] - 1, key.dilation[1] - 1},
                                pair(key.padding)};
  const auto take = [&](const auto& how, const memory::desc& image_form,
                        const memory::desc& weight_form, const memory::desc& result_form) {
    made->scratch_ = how.scratchpad_desc();
    made->image_ = {image, image_form, key.written == Written::kImage};
    made->weight_ = {weight, weight_form, key.written == Written::kWeight};
    made->result_ = {result, result_form, key.written == Written::kResult};
  };
  switch (key.written) {
    case Written::kResult: {
      const auto how = description.forward();
      take(how, how.src_desc(), how.weights_desc(), how.dst_desc());
      made->primitive_ = dnnl::convolution_forward(how);
      break;
    }
    case Written::kImage: {
      const auto how = description.image_grad();
      take(how, how.diff_src_desc(), how.weights_desc(), how.diff_dst_desc());
      made->primitive_ = dnnl::convolution_backward_data(how);
      break;
    }
    case Written::kWeight: {
      const auto how = description.weight_grad();
      take(how, how.src_desc(), how.diff_weights_desc(), how.diff_dst_desc());
      made->primitive_ = dnnl::convolution_backward_weights(how);
      break;
    }
  }
  return made;
}

std::shared_ptr<const Convolution> Convolution::find(const ConvolutionKey& key) {
  static Cache<ConvolutionKey, Convolution> cache;
  auto found = cache.find(key, make);
  CHECK(found != nullptr) << "oneDNN refuses a convolution in f32";
  return found;
}

std::size_t Convolution::scratch_bytes() const {
  std::size_t bytes = aligned(scratch_.get_size());
  for (const Packing* packing : {&image_, &weight_, &result_}) {
    bytes += aligned(bytes_aside(*packing));
  }
  return bytes;
}

void Convolution::run(const ConvolutionMemory& memory, std::byte* scratch) const {
  struct Side {
    const Packing& packing;
    int argument;
    void* given;
    void* place;  ///< where the kernel reads or writes it
  };
  Side sides[] = {
      {image_, image_.is_written() ? DNNL_ARG_DIFF_SRC : DNNL_ARG_SRC, memory.image, nullptr},
      {weight_, weight_.is_written() ? DNNL_ARG_DIFF_WEIGHTS : DNNL_ARG_WEIGHTS, memory.weight,
       nullptr},
      {result_, result_.is_written() ? DNNL_ARG_DST : DNNL_ARG_DIFF_DST, memory.result, nullptr}};
  Arguments arguments{{DNNL_ARG_SCRATCHPAD, view(scratch_, scratch)}};
  scratch += aligned(scratch_.get_size());
  for (Side& side : sides) {
    const std::size_t bytes = bytes_aside(side.packing);
    side.place = bytes > 0 ? scratch : side.given;
    scratch += aligned(bytes);
    if (bytes > 0 && !side.packing.is_written()) side.packing.run(side.given, side.place);
    arguments.emplace(side.argument, side.packing.wanted(side.place));
  }
  if (memory.bias != nullptr) arguments.emplace(DNNL_ARG_BIAS, view(bias_, memory.bias));
  execute(primitive_, arguments);
  for (const Side& side : sides) {
    if (side.packing.is_written() && side.place != side.given) {
      side.packing.run(side.given, side.place);
    }
  }
}

}  // namespace reef::ops::cpu::onednn
