#include "ops/autograd/functions.h"
#include "tests/unit/ops/autograd/cases.h"
#include "tests/unit/ops/values.h"

namespace reef::ops::testing {

std::vector<Case> index_cases() {
  std::vector<Case> cases;
  const Tensor tokens = index({2, 3}, {1, 0, 1, 3, 1, 0});
  cases.push_back({Op::kEmbedding,
                   "embedding",
                   {input({4, 2}, 1), input({5, 2}, 2)},
                   [tokens](Context& context, Tape& tape, Inputs in) {
                     return embedding(context, tape, tokens, in[0], in[1]);
                   }});
  cases.push_back({Op::kEmbedding,
                   "embedding without positions",
                   {input({4, 2}, 1)},
                   [tokens](Context& context, Tape& tape, Inputs in) {
                     return embedding(context, tape, tokens, in[0]);
                   }});
  const Tensor picks = index({4}, {2, 0, 2, 1}, DType::kI64);
  cases.push_back({Op::kIndexSelect,
                   "index_select",
                   {input({2, 3, 2}, 1)},
                   [picks](Context& context, Tape& tape, Inputs in) {
                     return index_select(context, tape, in[0], 1, picks);
                   }});
  cases.push_back({Op::kIndexAdd,
                   "index_add",
                   {input({2, 4}, 1)},
                   [picks](Context& context, Tape& tape, Inputs in) {
                     return index_add(context, tape, picks, in[0], 1, 3);
                   }});
  const Tensor places = index({2, 2}, {1, 1, 2, 0});
  cases.push_back({Op::kGather,
                   "gather",
                   {input({2, 3}, 1)},
                   [places](Context& context, Tape& tape, Inputs in) {
                     return gather(context, tape, in[0], 1, places);
                   }});
  cases.push_back({Op::kScatterAdd,
                   "scatter_add",
                   {input({2, 2}, 1)},
                   [places](Context& context, Tape& tape, Inputs in) {
                     return scatter_add(context, tape, places, in[0], 1, 3);
                   }});
  cases.push_back(
      {Op::kTopK, "top_k", {input({3, 5}, 1)}, [](Context& context, Tape& tape, Inputs in) {
         return top_k(context, tape, in[0], 2).values;
       }});
  return cases;
}

}  // namespace reef::ops::testing
