"""What ops_compare.py compares: each op's inputs and what PyTorch makes of them, in f64."""

import math

import torch
import torch.nn.functional as F

import ops_update_cases
import ops_vision_cases
from ops_case import Case, gradients, normal, wide

NN, NT, TN = 0, 1, 2
PRODUCTS = {"nn": NN, "nt": NT, "tn": TN}


def gelu(x):
    return F.gelu(x, approximate="tanh")


def laid(matrix, transposed):
    """The matrix, or the contiguous transpose that a product undoes."""
    return matrix.transpose(-1, -2).contiguous() if transposed else matrix


def dense():
    a, b, bias = normal(37, 50), normal(50, 29), normal(29)
    for name, product in PRODUCTS.items():
        inputs = [laid(a, product == TN), laid(b, product == NT)]
        yield Case(f"matmul_{name}", "matmul", inputs, [wide(a) @ wide(b)], product=product)
    before = wide(a) @ wide(b) + wide(bias)
    activations = {1: gelu, 2: F.silu, 3: F.relu}
    for number, activation in activations.items():
        expected = [activation(before), before]
        name = f"matmul_activation_{number}"
        yield Case(name, "matmul", [a, b, bias], expected, activation=number, keep=True)
    residual = normal(37, 29)
    yield Case("matmul_residual", "matmul", [a, b, bias, residual], [before + wide(residual)])
    a, b = normal(2, 3, 17, 20), normal(2, 3, 20, 11)
    for name, product in PRODUCTS.items():
        inputs = [laid(a, product == TN), laid(b, product == NT)]
        expected = [wide(a) @ wide(b)]
        yield Case(f"batch_matmul_{name}", "batch_matmul", inputs, expected, product=product)
    heads = normal(2, 17, 3, 20).transpose(1, 2)
    expected = [wide(heads) @ wide(b)]
    yield Case("batch_matmul_strided", "batch_matmul", [heads, b], expected)
    x = normal(5, 9, 67)
    yield Case("column_sum", "column_sum", [x], [wide(x).sum((0, 1))])


def norms():
    x, weight, bias = normal(3, 7, 48), normal(48), normal(48)
    grad, past = normal(3, 7, 48), normal(3, 7, 48)

    def layer(x, weight, bias):
        return F.layer_norm(x, (48,), weight, bias, 1e-5)

    def statistics(x):
        x = wide(x).reshape(-1, 48)
        inverse = 1 / (x.var(1, unbiased=False) + 1e-5).sqrt()
        return torch.stack([x.mean(1), inverse], 1)

    expected = [layer(wide(x), wide(weight), wide(bias)), statistics(x)]
    yield Case("layer_norm", "layer_norm", [x, weight, bias], expected, epsilon=1e-5)
    grads = gradients(layer, [x, weight, bias], grad)
    inputs = [x, weight, statistics(x).float(), grad]
    yield Case("layer_norm_grad", "layer_norm_grad", inputs, grads, tolerance=5e-6)
    grads = [grads[0] + wide(past), *grads[1:]]
    yield Case("layer_norm_grad_past", "layer_norm_grad", [*inputs, past], grads, tolerance=5e-6)
    total = x + past
    expected = [layer(wide(total), wide(weight), wide(bias)), total, statistics(total)]
    yield Case("add_layer_norm", "add_layer_norm", [x, past, weight, bias], expected, epsilon=1e-5)

    def inverse(x):
        return (x.pow(2).mean(-1, keepdim=True) + 1e-5).rsqrt()

    def rms(x, weight):
        return x * inverse(x) * weight

    inverses = inverse(wide(x)).reshape(-1)
    expected = [rms(wide(x), wide(weight)), inverses]
    yield Case("rms_norm", "rms_norm", [x, weight], expected, epsilon=1e-5)
    inputs = [x, weight, inverses.float(), grad]
    yield Case("rms_norm_grad", "rms_norm_grad", inputs, gradients(rms, [x, weight], grad))


def softmaxes():
    x, grad = 3 * normal(4, 5, 33), normal(4, 5, 33)
    for name, function in {"softmax": F.softmax, "log_softmax": F.log_softmax}.items():
        y = function(wide(x), dim=-1)
        yield Case(name, name, [x], [y])
        (expected,) = gradients(lambda x: function(x, dim=-1), [x], grad)
        yield Case(f"{name}_grad", f"{name}_grad", [y.float(), grad], [expected], tolerance=1e-5)
    logits = 2 * normal(20, 33)
    targets = torch.randint(0, 33, (20,), dtype=torch.int32)
    targets[3] = -1

    def losses(logits):
        return F.cross_entropy(logits, targets.long(), ignore_index=-1, reduction="none")

    expected = losses(wide(logits))
    yield Case("cross_entropy", "cross_entropy", [logits, targets], [expected])
    (slopes,) = gradients(losses, [logits], torch.full((20,), 0.25))
    inputs = [logits, targets]
    yield Case("cross_entropy_grad", "cross_entropy_grad", inputs, [expected, slopes], scale=0.25)
    x, weight = normal(20, 16), normal(33, 16)

    def head(x, weight):
        return losses(x @ weight.T)

    expected = [
        head(wide(x), wide(weight)),
        *gradients(head, [x, weight], torch.full((20,), 0.25)),
    ]
    inputs = [x, weight, targets]
    yield Case("linear_cross_entropy", "linear_cross_entropy", inputs, expected, scale=0.25)


def attend(q, k, v, causal, mask):
    """From the definition, (B, T, H, D); `mask` (B, S) of the keys that are there."""
    shared = q.shape[2] // k.shape[2]
    q, k, v = (t.transpose(1, 2) for t in (q, k, v))
    k, v = (t.repeat_interleave(shared, 1) for t in (k, v))
    scores = q @ k.transpose(2, 3) / math.sqrt(q.shape[3])
    length, keys = scores.shape[2:]
    if causal:
        seen = torch.ones(length, keys, dtype=torch.bool).tril(keys - length)
        scores = scores.masked_fill(~seen, -math.inf)
    if mask is not None:
        scores = scores.masked_fill(~mask[:, None, None, :], -math.inf)
    return (scores.softmax(-1) @ v).transpose(1, 2), scores.logsumexp(-1)


def attentions():
    lengths = torch.tensor([60, 33], dtype=torch.int32)
    holes = torch.rand(2, 70) < 0.7
    holes[:, 0] = True
    forms = {
        "causal": dict(causal=True),
        "bidirectional": dict(),
        "wide_heads": dict(width=64),
        "cross": dict(queries=41),
        "continued": dict(causal=True, queries=41),
        "grouped": dict(causal=True, groups=2),
        "one_group": dict(groups=1),
        "lengths": dict(mask=lengths),
        "holes": dict(mask=holes),
        "causal_holes": dict(causal=True, mask=holes, groups=2),
    }
    for name, form in forms.items():
        queries, groups = form.get("queries", 70), form.get("groups", 4)
        width, mask, causal = form.get("width", 16), form.get("mask"), form.get("causal", False)
        q, grad = normal(2, queries, 4, width), normal(2, queries, 4, width)
        k, v = normal(2, 70, groups, width), normal(2, 70, groups, width)
        there = torch.arange(70) < mask[:, None] if mask is lengths else mask
        out, sums = attend(wide(q), wide(k), wide(v), causal, there)
        masks = [] if mask is None else [mask]
        inputs, options = [q, k, v, *masks], dict(causal=causal, scale=0)
        yield Case(f"attention_{name}", "attention", inputs, [out, sums], **options)
        grads = gradients(lambda *x: attend(*x, causal, there)[0], [q, k, v], grad)
        inputs = [q, k, v, out.float(), sums.float(), grad, *masks]
        options["tolerance"] = 1e-5
        yield Case(f"attention_grad_{name}", "attention_grad", inputs, grads, **options)


def llama_rope(x, first, base):
    """As transformers' modeling_llama: (B, T, H, D)."""
    width = x.shape[3]
    frequencies = 1.0 / base ** (torch.arange(0, width, 2).double() / width)
    angles = torch.outer(torch.arange(first, first + x.shape[1]).double(), frequencies)
    angles = torch.cat((angles, angles), dim=-1)[None, :, None, :]
    halves = torch.cat((-x[..., width // 2 :], x[..., : width // 2]), dim=-1)
    return x * angles.cos() + halves * angles.sin()


def ropes():
    x, grad = normal(2, 19, 3, 16), normal(2, 19, 3, 16)
    for first in (0, 1000):
        options = dict(scale=10000.0, first=first)
        expected = [llama_rope(wide(x), first, 10000.0)]
        yield Case(f"rope_{first}", "rope", [x], expected, **options)
        expected = gradients(lambda x: llama_rope(x, first, 10000.0), [x], grad)
        yield Case(f"rope_grad_{first}", "rope", [grad], expected, reverse=True, **options)


def pointwise():
    x = 2 * normal(3, 50)
    unary = {
        "neg": torch.neg,
        "abs": torch.abs,
        "sign": torch.sign,
        "exp": torch.exp,
        "tanh": torch.tanh,
        "sigmoid": torch.sigmoid,
        "erf": torch.erf,
        "sin": torch.sin,
        "cos": torch.cos,
        "square": torch.square,
        "relu": torch.relu,
        "gelu": gelu,
        "silu": F.silu,
    }
    for name, function in unary.items():
        yield Case(name, name, [x], [function(wide(x))])
        yield Case(f"{name}_strided", name, [x.t()], [function(wide(x.t()))])
    for name, function in {"log": torch.log, "sqrt": torch.sqrt, "rsqrt": torch.rsqrt}.items():
        yield Case(name, name, [x.abs()], [function(wide(x.abs()))])
    yield Case("affine", "affine", [x], [3 * wide(x) - 0.5], scale=3.0, shift=-0.5)
    binary = {
        "add": torch.add,
        "sub": torch.sub,
        "mul": torch.mul,
        "div": torch.div,
        "maximum": torch.maximum,
        "minimum": torch.minimum,
        "equal": torch.eq,
        "less": torch.lt,
        "less_equal": torch.le,
    }
    shapes = ((9, 40), (9, 40), (40,), (9, 1))
    a, b, row, column = (normal(*shape).round(decimals=1) for shape in shapes)  # some are equal
    pairs = {"": (a, b), "_row": (a, row), "_outer": (column, row), "_strided": (a.t(), b.t())}
    for name, function in binary.items():
        for kind, (left, right) in pairs.items():
            if name == "div":
                right = right.abs() + 1
            expected = [function(wide(left), wide(right))]
            yield Case(name + kind, name, [left, right], expected)
    condition = torch.rand(9, 40) < 0.5
    yield Case("where", "where", [condition, a, b], [torch.where(condition, a, b)])
    yield Case("where_row", "where", [condition, a, row], [torch.where(condition, a, row)])
    up, grad = normal(3, 50), normal(3, 50)
    for name, function in {"gelu": gelu, "silu": F.silu}.items():
        expected = gradients(function, [x], grad)
        yield Case(f"{name}_grad", f"{name}_grad", [x, grad], expected, tolerance=5e-6)

    expected = [gelu(wide(x)), *gradients(gelu, [x], grad)]
    yield Case("gelu_and_grad", "gelu_and_grad", [x, grad], expected, tolerance=5e-6)

    def swiglu(gate, up):
        return F.silu(gate) * up

    yield Case("swiglu", "swiglu", [x, up], [swiglu(wide(x), wide(up))])
    expected = gradients(swiglu, [x, up], grad)
    yield Case("swiglu_grad", "swiglu_grad", [x, up, grad], expected, tolerance=5e-6)


def reductions():
    x = normal(6, 7, 80)
    for axes in (0b001, 0b010, 0b100, 0b101, 0b110, 0b111):
        dims = [axis for axis in range(3) if axes >> axis & 1]
        yield Case(f"sum_{axes}", "sum", [x], [wide(x).sum(dims, keepdim=True)], axes=axes)
        yield Case(f"max_{axes}", "max", [x], [wide(x).amax(dims, keepdim=True)], axes=axes)
    turned = x.transpose(0, 2)
    yield Case("sum_strided", "sum", [turned], [wide(turned).sum(1, keepdim=True)], axes=0b010)
    for axis in range(3):
        yield Case(f"cum_sum_{axis}", "cum_sum", [x], [wide(x).cumsum(axis)], axis=axis)
        expected = [wide(x).flip(axis).cumsum(axis).flip(axis)]
        yield Case(f"cum_sum_back_{axis}", "cum_sum", [x], expected, axis=axis, reverse=True)
    squares = wide(x).square().reshape(-1)[:4096].sum()[None]
    yield Case("square_sum", "square_sum", [x], [squares])


def indexed():
    tokens = torch.randint(0, 40, (3, 17), dtype=torch.int32)
    table, positions, grad = normal(40, 20), normal(19, 20), normal(3, 17, 20)
    expected = [wide(table)[tokens.long()] + wide(positions)[:17]]
    yield Case("embedding", "embedding", [tokens, table, positions], expected)

    def embedded(table, positions):
        return table[tokens.long()] + positions[:17]

    expected = gradients(embedded, [table, positions], grad)
    inputs = [tokens, grad]
    yield Case("embedding_grad", "embedding_grad", inputs, expected, rows=40, columns=19)
    x = normal(6, 7, 8)
    for dtype in (torch.int32, torch.int64):
        for axis in range(3):
            name = f"{axis}_{dtype}".replace("torch.", "")
            index = torch.randint(0, x.shape[axis], (9,), dtype=dtype)
            picked = x.index_select(axis, index)
            yield Case(f"index_select_{name}", "index_select", [x, index], [picked], axis=axis)
            source = normal(*picked.shape)
            zeros = torch.zeros(x.shape).double()
            expected = [zeros.index_add(axis, index, wide(source))]
            options = dict(axis=axis, rows=x.shape[axis])
            yield Case(f"index_add_{name}", "index_add", [index, source], expected, **options)
            index = torch.randint(0, x.shape[axis], picked.shape, dtype=dtype)
            expected = [x.gather(axis, index.long())]
            yield Case(f"gather_{name}", "gather", [x, index], expected, axis=axis)
            expected = [zeros.scatter_add(axis, index.long(), wide(source))]
            yield Case(f"scatter_add_{name}", "scatter_add", [index, source], expected, **options)
    values, places = wide(x).topk(3)
    yield Case("top_k", "top_k", [x], [values, places], rows=3)
    yield Case("arg_max", "arg_max", [x], [wide(x).argmax(-1)])


def moved():
    x = normal(3, 4, 5)
    padding = dict(before=[1, 0, 2, 0, 0, 0, 0, 0], after=[0, 3, 1, 0, 0, 0, 0, 0], shift=0.5)
    yield Case("pad", "pad", [x], [F.pad(x, (2, 1, 0, 3, 1, 0), value=0.5)], **padding)
    parts = [normal(3, 2, 5), x, normal(3, 1, 5)]
    yield Case("concat", "concat", parts, [torch.cat(parts, 1)], axis=1)
    yield Case("copy", "copy", [x.transpose(0, 2)], [x.transpose(0, 2)])
    spread = torch.randn(4000) * torch.logspace(-12, 8, 4000)
    for dtype, name in {torch.float16: "f16", torch.bfloat16: "bf16"}.items():
        expected = spread.to(dtype)
        yield Case(f"cast_to_{name}", "cast", [spread], [expected], tolerance=0, to=name)
        yield Case(f"cast_from_{name}", "cast", [expected], [expected], tolerance=0, to="f32")
    yield Case("cast_to_i32", "cast", [100 * x], [(100 * x).int()], tolerance=0, to="i32")


def all_cases():
    families = (dense, norms, softmaxes, attentions, ropes, pointwise, reductions, indexed, moved)
    families += ops_vision_cases.FAMILIES + ops_update_cases.FAMILIES
    return [case for family in families for case in family()]
