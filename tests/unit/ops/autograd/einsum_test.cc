#include "ops/functional/einsum.h"

#include <gtest/gtest.h>

#include "tests/unit/ops/autograd/cases.h"
#include "tests/unit/ops/values.h"

namespace reef::ops {
namespace {

using testing::expect_values;
using testing::input;
using testing::Reference;
using testing::values_of;

/// The definition: for each assignment of the labels, in loops. Labels are letters; `extents` of
/// each.
std::vector<double> by_definition(const std::vector<std::string>& operands,
                                  const std::string& result, const std::vector<Tensor>& tensors) {
  std::map<char, std::int64_t> extents;
  std::int64_t places = 1;
  for (std::size_t i = 0; i < operands.size(); ++i) {
    for (std::size_t axis = 0; axis < operands[i].size(); ++axis) {
      const bool added = extents.emplace(operands[i][axis], tensors[i].shape()[axis]).second;
      if (added) places *= tensors[i].shape()[axis];
    }
  }
  std::map<char, std::int64_t> at;
  const auto offset = [&](const std::string& labels) {
    std::int64_t offset = 0;
    for (const char label : labels) offset = offset * extents[label] + at[label];
    return static_cast<std::size_t>(offset);
  };
  std::int64_t elements = 1;
  for (const char label : result) elements *= extents[label];
  std::vector<double> sums(static_cast<std::size_t>(elements));
  for (std::int64_t place = 0; place < places; ++place) {
    std::int64_t rest = place;
    for (const auto& [label, extent] : extents) {
      at[label] = rest % extent;
      rest /= extent;
    }
    double product = 1;
    for (std::size_t i = 0; i < operands.size(); ++i) {
      product *= values_of(tensors[i])[offset(operands[i])];
    }
    sums[offset(result)] += product;
  }
  return sums;
}

void expect_einsum(const std::string& text, const std::vector<Tensor>& tensors,
                   const std::vector<std::string>& operands, const std::string& result) {
  Reference context;
  const Result<Tensor> value = einsum(context, text, tensors);
  ASSERT_TRUE(value.ok()) << value.error().text();
  expect_values(*value, by_definition(operands, result, tensors), 1e-12);
}

TEST(Einsum, IsItsDefinition) {
  const Tensor x = input({2, 3, 2, 2}, 1);
  const Tensor y = input({2, 4, 2, 2}, 2);
  expect_einsum("bthd,bshd->bhts", {x, y}, {"bthd", "bshd"}, "bhts");
  expect_einsum("ij,jk->ik", {input({2, 3}, 1), input({3, 4}, 2)}, {"ij", "jk"}, "ik");
  expect_einsum("ij,kj->", {input({2, 3}, 1), input({4, 3}, 2)}, {"ij", "kj"}, "");
  expect_einsum("i,j->ji", {input({2}, 1), input({3}, 2)}, {"i", "j"}, "ji");
  expect_einsum("ijk->k", {input({2, 3, 4}, 1)}, {"ijk"}, "k");
  expect_einsum("ij,ij->ij", {input({2, 3}, 1), input({2, 3}, 2)}, {"ij", "ij"}, "ij");
  expect_einsum("ab,bc,cd,ad->c",
                {input({2, 3}, 1), input({3, 2}, 2), input({2, 4}, 3), input({2, 4}, 4)},
                {"ab", "bc", "cd", "ad"}, "c");
}

TEST(Einsum, WithoutAnArrowKeepsWhatStandsOnceInAlphabeticalOrder) {
  expect_einsum("kj,ji", {input({2, 3}, 1), input({3, 4}, 2)}, {"kj", "ji"}, "ik");
  expect_einsum("ba", {input({2, 3}, 1)}, {"ba"}, "ab");
}

TEST(Einsum, AlignsEllipsesAtTheEnd) {
  const std::vector<Tensor> in = {input({2, 3, 2, 4}, 1), input({3, 4, 2}, 2)};
  expect_einsum("...ij,...jk->...ik", in, {"xyij", "yjk"}, "xyik");
  expect_einsum("...ij, ...jk", in, {"xyij", "yjk"}, "xyik");
  expect_einsum("i...->...", {input({2, 3, 4}, 1)}, {"iab"}, "ab");
}

std::string refusal(std::string_view text, const std::vector<Tensor>& tensors) {
  Reference context;
  const Result<Tensor> value = einsum(context, text, tensors);
  return value.ok() ? "" : value.error().what;
}

TEST(Einsum, SaysWhichLabelDoesNotFit) {
  const Tensor x = input({2, 3}, 1);
  EXPECT_EQ(refusal("ij,jk->ik", {x, x}), "label 'j' is 3 and 2");
  EXPECT_EQ(refusal("ij->ik", {x}), "label 'k' of the result is in no operand");
  EXPECT_EQ(refusal("ii->i", {input({2, 2}, 1)}), "label 'i' stands twice in one term");
  EXPECT_EQ(refusal("ij->jj", {x}), "label 'j' stands twice in one term");
  EXPECT_EQ(refusal("i7->i", {x}), "label '7' is no letter");
  EXPECT_EQ(refusal("ij->i->j", {x}), "label '-' is no letter");
  EXPECT_EQ(refusal("ijk->i", {x}), "\"ijk\" does not fit an operand (2, 3)");
  EXPECT_EQ(refusal("ij,jk", {x}), "names 2 operands; given 1");
  EXPECT_EQ(refusal("..j->j", {x}), "\"..j\" does not fit an operand (2, 3)");
  EXPECT_EQ(refusal("...j...->j", {x}), "\"...j...\" does not fit an operand (2, 3)");
  EXPECT_EQ(refusal("", {}), "names 1 operands; given 0");
  const Tensor deep = input({1, 1, 1, 1, 1}, 1);
  EXPECT_EQ(refusal("abcde,fghij->abcdefghij", {deep, deep}),
            "after operand 2 the axes \"abcdefghij\" are too many, or too large, for a tensor");
}

}  // namespace
}  // namespace reef::ops
