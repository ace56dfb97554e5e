#pragma once
// Ops as functions: tensors in, new tensors out. Every one goes through the catalog, so callers
// never name a backend. A shape that does not fit is a bug of the caller and ends the process.
// All of them; the families are in the headers below.

#include "ops/functional/attention.h"
#include "ops/functional/dense.h"
#include "ops/functional/einsum.h"
#include "ops/functional/index.h"
#include "ops/functional/move.h"
#include "ops/functional/pointwise.h"
#include "ops/functional/random.h"
#include "ops/functional/reduce.h"
#include "ops/functional/rows.h"
#include "ops/functional/update.h"
#include "ops/functional/vision.h"
