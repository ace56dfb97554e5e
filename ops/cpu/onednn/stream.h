#pragma once
// What every use of oneDNN shares. Our workers are the process's one pool of threads, so a
// primitive runs on the thread that calls it and on no other.

#include <unordered_map>

#include <dnnl.hpp>

namespace reef::ops::cpu::onednn {

using Arguments = std::unordered_map<int, dnnl::memory>;

const dnnl::engine& engine();

/// To be called before a primitive is made, which counts the threads that it may use.
void compute_alone();

/// Returns when the primitive is done. What oneDNN accepted and cannot run ends the process.
void execute(const dnnl::primitive& primitive, const Arguments& arguments);

/// oneDNN takes addresses of what it only reads as void*.
dnnl::memory view(const dnnl::memory::desc& desc, const void* data);

/// Scratch belongs to the caller: oneDNN's own would be that of the thread that made a primitive,
/// and ours are made once for all.
dnnl::primitive_attr caller_keeps_scratch();

}  // namespace reef::ops::cpu::onednn
