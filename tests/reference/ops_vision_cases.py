"""Images: convolution and pooling, lying as NCHW and channels-last."""

import torch
import torch.nn.functional as F

from ops_case import Case, gradients, normal, wide


def lying(x):
    return {"": x, "_last": x.contiguous(memory_format=torch.channels_last)}.items()


def convolutions():
    windows = {
        "plain": dict(),
        "padded": dict(padding=[1, 1]),
        "strided": dict(stride=[2, 2], padding=[1, 0]),
        "dilated": dict(dilation=[2, 1], padding=[2, 1]),
        "grouped": dict(groups=2, padding=[1, 1], stride=[1, 2]),
        "depthwise": dict(groups=8, padding=[1, 1]),
        "pointwise": dict(size=(1, 1)),
    }
    for name, window in windows.items():
        size = window.pop("size", (3, 3))
        x = normal(2, 8, 11, 9)
        weight, bias = normal(16, 8 // window.get("groups", 1), *size), normal(16)

        def convolve(x, weight, bias=None):
            return F.conv2d(x, weight, bias, **window)

        y = convolve(wide(x), wide(weight), wide(bias))
        grad = normal(*y.shape)
        x_grad, weight_grad = gradients(convolve, [x, weight], grad)
        for (lay, image), (_, slope) in zip(lying(x), lying(grad)):
            options = dict(window=window, tolerance=5e-6)
            yield Case(f"conv2d_{name}{lay}", "conv2d", [image, weight, bias], [y], **options)
            op, options["shape"] = "conv2d_input_grad", list(x.shape)
            yield Case(f"{op}_{name}{lay}", op, [weight, slope], [x_grad], **options)
            op, options["shape"] = "conv2d_weight_grad", list(weight.shape)
            yield Case(f"{op}_{name}{lay}", op, [image, slope], [weight_grad], **options)


def pools():
    windows = {
        "halves": dict(size=[2, 2], stride=[2, 2]),
        "overlapping": dict(size=[3, 2], stride=[1, 2], padding=[1, 1]),
        "dilated": dict(size=[2, 3], stride=[2, 1], padding=[1, 0], dilation=[2, 3]),
    }
    for name, window in windows.items():
        x = normal(2, 3, 11, 9)
        arguments = dict(window, kernel_size=window["size"])
        del arguments["size"]
        y, places = F.max_pool2d(wide(x), return_indices=True, **arguments)
        grad = normal(*y.shape)
        (expected,) = gradients(lambda x: F.max_pool2d(x, **arguments), [x], grad)
        for (lay, image), (_, slope) in zip(lying(x), lying(grad)):
            yield Case(f"max_pool2d_{name}{lay}", "max_pool2d", [image], [y, places], window=window)
            op, inputs = "max_pool2d_grad", [places.int(), slope]
            options = dict(window=window, shape=list(x.shape))
            yield Case(f"{op}_{name}{lay}", op, inputs, [expected], **options)
        if "dilation" in window:
            continue  # PyTorch's mean has none

        def mean(x):
            return F.avg_pool2d(x, count_include_pad=False, **arguments)

        y, (expected,) = mean(wide(x)), gradients(mean, [x], grad)
        for (lay, image), (_, slope) in zip(lying(x), lying(grad)):
            yield Case(f"avg_pool2d_{name}{lay}", "avg_pool2d", [image], [y], window=window)
            op, options = "avg_pool2d_grad", dict(window=window, shape=list(x.shape))
            yield Case(f"{op}_{name}{lay}", op, [slope], [expected], **options)


FAMILIES = (convolutions, pools)
