#include "ops/cpu/gemm/primitives.h"

#include <omp.h>

#include <map>
#include <mutex>
#include <string_view>
#include <unordered_map>

#include "runtime/base/check.h"

namespace reef::ops::cpu {

namespace {

using dnnl::memory;

/// Shapes of a run are few; a stream of ever new ones must not fill the memory.
constexpr std::size_t kMostPrimitives = 1024;

const dnnl::engine& engine() {
  static const dnnl::engine engine(dnnl::engine::kind::cpu, 0);
  return engine;
}

dnnl::stream& stream_of_this_thread() {
  // oneDNN would start a team of its own beside our workers, and split K among it. The setting is
  // OpenMP's per-thread one, so it is made once on each thread that comes here.
  static thread_local const bool alone = (omp_set_num_threads(1), true);
  static thread_local dnnl::stream stream(engine());
  CHECK(alone);
  return stream;
}

using Arguments = std::unordered_map<int, memory>;

void execute(const dnnl::primitive& primitive, const Arguments& arguments) {
  try {
    dnnl::stream& stream = stream_of_this_thread();
    primitive.execute(stream, arguments);
    stream.wait();
  } catch (const dnnl::error& error) {
    CHECK(false) << "oneDNN accepted a primitive and cannot run it: " << error.what();
  }
}

/// oneDNN takes addresses of what it only reads as void*.
memory view(const memory::desc& desc, const void* data) {
  return {desc, engine(), const_cast<void*>(data)};
}

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
  dnnl::primitive_attr attributes;
  // Its default scratch belongs to the thread that made the primitive; ours are made once for all.
  attributes.set_scratchpad_mode(dnnl::scratchpad_mode::user);
  const dnnl::matmul::desc what(tile->a_, packed_form(key, type), tile->c_);
  const dnnl::matmul::primitive_desc how(what, attributes, engine());
  if (std::string_view(how.impl_info_str()).substr(0, 3) == "ref") return nullptr;
  tile->packed_ = how.weights_desc();
  tile->scratch_ = how.scratchpad_desc();
  tile->matmul_ = dnnl::matmul(how);
  tile->reorder_ =
      dnnl::reorder(dnnl::reorder::primitive_desc(engine(), tile->b_, engine(), tile->packed_));
  return tile;
}

std::shared_ptr<const TilePrimitive> TilePrimitive::find(const TileKey& key) {
  static std::mutex mutex;
  static std::map<TileKey, std::shared_ptr<const TilePrimitive>> known;
  const std::lock_guard lock(mutex);
  const auto found = known.find(key);
  if (found != known.end()) return found->second;
  if (known.size() >= kMostPrimitives) known.clear();
  std::shared_ptr<const TilePrimitive> tile;
  try {
    stream_of_this_thread();  // before the primitive counts the threads it may use
    tile = make(key);
  } catch (const dnnl::error&) {
    // Not implemented for this processor: remembered as null, the caller has another way.
  }
  known.emplace(key, tile);
  return tile;
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
