"""Batch norms over the images of all processes: what they learn together is what one would."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode

from labelclean.learning import distributed


@contextmanager
def shared_norms() -> Iterator[None]:
    """Batch norms that are in training take mean and variance of all processes' images.

    Of every class that calls torch's batch_norm, on any device: nn.SyncBatchNorm has no CPU.
    """
    if distributed.size() == 1:
        yield
        return
    with _Sharing():
        yield


class _Sharing(TorchFunctionMode):
    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        if func is F.batch_norm:
            return _batch_norm(*args, **(kwargs or {}))
        return func(*args, **(kwargs or {}))


def _batch_norm(
    input: Tensor,
    running_mean: Tensor | None,
    running_var: Tensor | None,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    training: bool = False,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Tensor:
    """torch.nn.functional.batch_norm, names and all, of the images of all processes."""
    if not training:
        return F.batch_norm(input, running_mean, running_var, weight, bias, training, momentum, eps)
    channels = input.shape[1]
    ones = input.new_ones(channels, dtype=torch.float32)
    weight = ones if weight is None else weight
    bias = torch.zeros_like(ones) if bias is None else bias
    output, mean, var, count = _Normalised.apply(input, weight, bias, eps)
    if running_mean is not None and running_var is not None:
        running_mean.lerp_(mean.to(running_mean.dtype), momentum)
        unbiased = var * (count / (count - 1).clamp(min=1))
        running_var.lerp_(unbiased.to(running_var.dtype), momentum)
    return output  # type: ignore[no-any-return]


class _Normalised(torch.autograd.Function):
    """(x - mean) / sqrt(var + eps) * weight + bias; sums over all processes are in float64."""

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, weight: Tensor, bias: Tensor, eps: float
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        mean, var = _moments(x)
        count = mean.new_full((1,), x.numel() / x.shape[1])
        sums = distributed.summed(torch.cat([count, count * mean, count * (var + mean.square())]))
        count, mean, squares = sums.split([1, len(mean), len(mean)])
        mean, squares = mean / count, squares / count
        var = (squares - mean.square()).clamp(min=0)
        ctx.save_for_backward(x, weight, mean, var, count)
        ctx.eps = eps
        output = F.batch_norm(x, mean.float(), var.float(), weight, bias, False, 0.0, eps)
        ctx.mark_non_differentiable(mean, var, count)
        return output, mean, var, count

    @staticmethod
    def backward(ctx: Any, grad: Tensor, *_: Any) -> tuple[Tensor, Tensor, Tensor, None]:
        x, weight, mean, var, count = ctx.saved_tensors
        moments = mean.float(), var.float()
        _, of_weight, of_bias = torch.ops.aten.native_batch_norm_backward(
            grad, x, weight, *moments, None, None, False, ctx.eps, [False, True, True]
        )
        slope = weight.double() * (var + ctx.eps).rsqrt()
        sums = distributed.summed(torch.cat([of_weight.double(), of_bias.double()])).view(2, -1)
        through_var, through_mean = (-slope / count * sums).float()
        # what comes through variance and mean is again a scaled and shifted (x - mean) / deviation
        of_x = F.batch_norm(x, *moments, through_var, through_mean, False, 0.0, ctx.eps)
        slope = slope.float().view(1, -1, *[1] * (x.dim() - 2))
        return torch.addcmul(of_x, grad, slope).to(x.dtype), of_weight, of_bias, None


def _moments(x: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and variance of each channel of this process's images, float64."""
    if x.device.type == "cpu":  # one pass, also of channels that come last
        mean, var = torch.ops.aten.batch_norm_update_stats(x, None, None, 0.0)
    else:
        others = [0, *range(2, x.dim())]
        var, mean = torch.var_mean(x.float(), others, correction=0)
    return mean.double(), var.double()
