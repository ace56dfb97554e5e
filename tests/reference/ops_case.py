"""One case of ops_compare.py, and how its numbers are made."""

import torch


class Case:
    """An op on `inputs` (updates: and on the tensors it `writes`), and what should come out.
    `options` are Attributes of the op."""

    def __init__(self, name, op, inputs, expected, writes=(), tolerance=2e-6, **options):
        self.name, self.op = name, op
        self.inputs, self.writes, self.expected = inputs, writes, expected
        self.tolerance, self.attributes = tolerance, options


def normal(*shape):
    return torch.randn(*shape)


def wide(tensor):
    """As f64, so that what differs from Atoll's f32 is Atoll's rounding."""
    return tensor.detach().double()


def gradients(function, inputs, grad):
    """Of sum(grad * function(inputs))."""
    leaves = [wide(x).requires_grad_() for x in inputs]
    return list(torch.autograd.grad(function(*leaves), leaves, wide(grad)))
