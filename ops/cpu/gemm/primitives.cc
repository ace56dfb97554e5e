#include "ops/cpu/gemm/primitives.h"

#include <string_view>

#include "ops/cpu/onednn/cache.h"

namespace reef::ops::cpu {

namespace {

using dnnl::memory;
using onednn::engine;
using onednn::execute;
using onednn::view;

/// The packed form that the matmul of the main tiles prefers, or any when this is one of them.
memory::desc packed_form(const TileKey& key, memory::data_type type) {
  const memory::dims dims = {key.inner, key.columns};
  if (key.packed_for_rows == key.rows) return {dims, type, memory::format_tag::any};
  TileKey main = key;
  main.rows = key.packed_for_rows;
  const memory::desc a({main.rows, key.inner}, type, {key.a_row_stride, key.a_column_stride});
  const memory::desc c({main.rows, key.columns}, memory::data_type::f32, {key.c_row_stride, 1});
  const memory::desc any(dims, type, memory::format_tag::any);
  return dnnl::matmul::primitive_desc(dnnl::matmul::desc(a, any, c), engine()).weights_desc();
}

}  // namespace

std::shared_ptr<const TilePrimitive> TilePrimitive::make(const TileKey& key) {
  const auto type = key.is_bf16 ? memory::data_type::bf16 : memory::data_type::f32;
  std::shared_ptr<TilePrimitive> tile(new TilePrimitive);
  tile->a_ = memory::desc({key.rows, key.inner}, type, {key.a_row_stride, key.a_column_stride});
  tile->b_ = memory::desc({key.inner, key.columns}, type, {key.b_row_stride, key.b_column_stride});
  tile->c_ = memory::desc({key.rows, key.columns}, memory::data_type::f32, {key.c_row_stride, 1});
  const dnnl::matmul::desc what(tile->a_, packed_form(key, type), tile->c_);
  const dnnl::matmul::primitive_desc how(what, onednn::caller_keeps_scratch(), engine());
  if (std::string_view(how.impl_info_str()).substr(0, 3) == "ref") return nullptr;
  tile->packed_ = how.weights_desc();
  tile->scratch_ = how.scratchpad_desc();
  tile->matmul_ = dnnl::matmul(how);
  tile->reorder_ =
      dnnl::reorder(dnnl::reorder::primitive_desc(engine(), tile->b_, engine(), tile->packed_));
  return tile;
}

std::shared_ptr<const TilePrimitive> TilePrimitive::find(const TileKey& key) {
  static onednn::Cache<TileKey, TilePrimitive> cache;
  return cache.find(key, make);
}

void TilePrimitive::pack(const void* b, void* packed) const {
  execute(reorder_, {{DNNL_ARG_FROM, view(b_, b)}, {DNNL_ARG_TO, view(packed_, packed)}});
}

void TilePrimitive::run(const void* a, const void* packed, void* scratch, float* c) const {
  execute(matmul_, {{DNNL_ARG_SRC, view(a_, a)},
                    {DNNL_ARG_WEIGHTS, view(packed_, packed)},
                    {DNNL_ARG_DST, view(c_, c)},
                    {DNNL_ARG_SCRATCHPAD, view(scratch_, scratch)}});
}

}  // namespace reef::ops::cpu
