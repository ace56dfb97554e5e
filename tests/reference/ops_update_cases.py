"""Optimizers: the third step of each, from what PyTorch's or the paper's formula has after two."""

import torch

from ops_case import Case, normal, wide

SHAPES = ((23, 17), (40,), (3, 5, 8))


def case(name, op, step, parameters, states, gradients, **factors):
    """`step(gradients)` moves the f64 `parameters` and what `states()` lists, kind by kind."""
    for gradient in gradients[:2]:
        step(gradient)
    # PyTorch starts from what Atoll can hold.
    for tensor in [*parameters, *states()]:
        tensor.copy_(tensor.float())
    before = [tensor.float().clone() for tensor in [*parameters, *states()]]
    step(gradients[2])
    after = [tensor.clone() for tensor in [*parameters, *states()]]
    update = dict(factors, step=3)
    return Case(name, op, gradients[2], after, writes=before, tolerance=5e-6, update=update)


def problem():
    parameters = [wide(normal(*shape)) for shape in SHAPES]
    gradients = [[normal(*shape) for shape in SHAPES] for _ in range(3)]
    return parameters, gradients


def by_torch(name, op, optimizer_of, kinds, **factors):
    parameters, gradients = problem()
    for parameter in parameters:
        parameter.requires_grad_()
    optimizer = optimizer_of(parameters)

    def step(gradient):
        for parameter, slope in zip(parameters, gradient):
            parameter.grad = wide(slope)
        optimizer.step()

    def states():
        return [optimizer.state[p][kind] for kind in kinds for p in parameters]

    with torch.no_grad():
        return case(name, op, step, parameters, states, gradients, **factors)


def by_pytorch():
    lr, decay, beta1, beta2 = 2.0**-7, 0.125, 0.875, 0.96875  # exact in f32
    factors = dict(lr=lr, weight_decay=decay, beta1=beta1)

    def adamw(parameters):
        options = dict(lr=lr, betas=(beta1, beta2), eps=2.0**-20, weight_decay=decay)
        return torch.optim.AdamW(parameters, **options)

    moments = ("exp_avg", "exp_avg_sq")
    yield by_torch("adamw", "adamw", adamw, moments, beta2=beta2, epsilon=2.0**-20, **factors)
    for nesterov in (False, True):

        def sgd(parameters):
            options = dict(lr=lr, momentum=beta1, weight_decay=decay, nesterov=nesterov)
            return torch.optim.SGD(parameters, **options)

        name = "sgd_nesterov" if nesterov else "sgd"
        yield by_torch(name, "sgd", sgd, ("momentum_buffer",), nesterov=nesterov, **factors)


def by_formula():
    lr, decay, beta1, beta2 = 2.0**-7, 0.125, 0.875, 0.96875
    parameters, gradients = problem()
    momenta = [torch.zeros_like(p) for p in parameters]

    def lion(gradient):
        for p, m, g in zip(parameters, momenta, map(wide, gradient)):
            p.copy_(p * (1 - lr * decay) - lr * (beta1 * m + (1 - beta1) * g).sign())
            m.copy_(beta2 * m + (1 - beta2) * g)

    factors = dict(lr=lr, weight_decay=decay, beta1=beta1, beta2=beta2)
    yield case("lion", "lion", lion, parameters, lambda: momenta, gradients, **factors)

    parameters, gradients = problem()
    rows = [torch.zeros(p.shape if p.dim() < 2 else p[..., 0].numel()).double() for p in parameters]
    columns = [torch.zeros(0 if p.dim() < 2 else p.shape[-1]).double() for p in parameters]
    epsilon, steps = 2.0**-30, iter((1, 2, 3))

    def adafactor(gradient):
        beta2 = 1 - next(steps) ** -0.8
        for p, row, column, g in zip(parameters, rows, columns, map(wide, gradient)):
            squares = g.square() + epsilon
            if p.dim() < 2:
                row.mul_(beta2).add_((1 - beta2) * squares)
                estimate = row
            else:
                squares = squares.reshape(-1, p.shape[-1])
                row.mul_(beta2).add_((1 - beta2) * squares.sum(1))
                column.mul_(beta2).add_((1 - beta2) * squares.sum(0))
                estimate = (torch.outer(row, column) / row.sum()).reshape(p.shape)
            u = g / estimate.sqrt()
            u = u / u.square().mean().sqrt().clamp_min(1)
            p.copy_(p * (1 - lr * decay) - lr * u)

    factors = dict(lr=lr, weight_decay=decay, epsilon=epsilon)
    kept = lambda: [*rows, *columns]
    yield case("adafactor", "adafactor", adafactor, parameters, kept, gradients, **factors)


FAMILIES = (by_pytorch, by_formula)
