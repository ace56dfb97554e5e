#include "ops/nn/needs.h"

#include "runtime/base/text.h"

namespace reef::nn {
namespace {

using ops::DType;
using ops::Op;

constexpr Need kAlways[] = {{Op::kMatmul},
                            {Op::kAttention},
                            {Op::kAttentionGrad},
                            {Op::kEmbedding, DType::kI32},
                            {Op::kEmbeddingGrad, DType::kI32},
                            {Op::kCrossEntropy},
                            {Op::kCrossEntropyGrad},
                            {Op::kAdd},
                            {Op::kFill},
                            {Op::kCopy},
                            {Op::kCast},
                            {Op::kSquareSum},
                            {Op::kAdamW}};
constexpr Need kGpt[] = {{Op::kLayerNorm}, {Op::kLayerNormGrad}, {Op::kColumnSum}, {Op::kGelu},
                         {Op::kGeluGrad},  {Op::kGeluAndGrad},   {Op::kDropout}};
constexpr Need kLlama[] = {
    {Op::kRmsNorm}, {Op::kRmsNormGrad}, {Op::kRope}, {Op::kSwiGlu}, {Op::kSwiGluGrad}};
constexpr Need kShared[] = {{Op::kExp},
                            {Op::kLog},
                            {Op::kSub},
                            {Op::kMul},
                            {Op::kMaximum},
                            {Op::kSum},
                            {Op::kMax},
                            {Op::kGather},
                            {Op::kScatterAdd, DType::kI32},
                            {Op::kWhere, DType::kBool},
                            {Op::kConcat},
                            {Op::kConcat, DType::kI32},
                            {Op::kPad}};

}  // namespace

std::vector<Need> needs_of(const ModelSpec& spec, bool shared) {
  std::vector<Need> needs(std::begin(kAlways), std::end(kAlways));
  const auto take = [&needs](std::span<const Need> more) {
    needs.insert(needs.end(), more.begin(), more.end());
  };
  take(std::holds_alternative<GptConfig>(spec.config) ? std::span<const Need>(kGpt) : kLlama);
  if (shared) take(kShared);
  return needs;
}

Status check_kernels(ops::Device device, const ModelSpec& spec, bool shared) {
  std::vector<std::string> missing;
  for (const Need& need : needs_of(spec, shared)) {
    const auto route = ops::route({need.op, device, need.dtype, ops::Layout::kRowMajor});
    if (route.ok() && !route->via_host) continue;
    missing.push_back(std::string(name_of(need.op)) + " for " +
                      std::string(ops::name_of(need.dtype)));
  }
  if (missing.empty()) return {};
  return Error{Code::kNoFit, "device " + std::string(ops::name_of(device)),
               "has no kernels for " + join(missing) +
                   ", which this job needs; use another device, or a plug-in that has them"};
}

}  // namespace reef::nn
