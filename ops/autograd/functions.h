#pragma once
// The differentiable ops of ops/functional on variables: each computes and, on a recording tape,
// writes down its vjp and no more activations than that needs. On a tape that decomposes, fused
// ops write themselves down as primitives (decomposed/), and the vjps of primitives are primitives.
// Gradients of weights that are bf16 or f16 come in f32; those of activations in their own dtype.
// All of them; the families are in the headers below.

#include "ops/autograd/functions/attention.h"
#include "ops/autograd/functions/composite.h"
#include "ops/autograd/functions/dense.h"
#include "ops/autograd/functions/einsum.h"
#include "ops/autograd/functions/index.h"
#include "ops/autograd/functions/loss.h"
#include "ops/autograd/functions/move.h"
#include "ops/autograd/functions/pointwise.h"
#include "ops/autograd/functions/random.h"
#include "ops/autograd/functions/reduce.h"
#include "ops/autograd/functions/rows.h"
#include "ops/autograd/functions/support.h"
#include "ops/autograd/functions/vision.h"
