"""SGD without torch's Optimizer, whose first use imports the compiler: 1.4 s of every command."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor
from torch.optim.sgd import sgd

from labelclean.config import TrainConfig


class Sgd:
    """Stochastic gradient descent by torch's own arithmetic: torch.optim.SGD gives the same bits.

    lr  learning rate of the next step
    """

    def __init__(self, params: Iterable[Tensor], config: TrainConfig) -> None:
        """Momentum, decay and Nesterov's form are of the config; the rate begins as its `lr`."""
        self.params, self._config = list(params), config
        self.lr = config.lr
        self._momentum: list[Tensor | None] = [None] * len(self.params)

    @torch.no_grad()
    def step(self) -> None:
        """Moves the parameters that have a gradient."""
        places = [place for place, param in enumerate(self.params) if param.grad is not None]
        momentum = [self._momentum[place] for place in places]
        sgd(
            [self.params[place] for place in places],
            [grad for param in self.params if (grad := param.grad) is not None],
            momentum,
            weight_decay=self._config.weight_decay,
            momentum=self._config.momentum,
            lr=self.lr,
            dampening=0.0,
            nesterov=self._config.nesterov,
            maximize=False,
        )
        for place, buffer in zip(places, momentum, strict=True):
            self._momentum[place] = buffer

    def state(self) -> dict[str, Any]:
        """All that a resumed run needs: a buffer a parameter, None before its first step."""
        return {"lr": self.lr, "momentum": self._momentum}

    def load(self, state: dict[str, Any]) -> None:
        self.lr = state["lr"]
        self._momentum = [
            None if saved is None else saved.detach().clone().to(param)
            for param, saved in zip(self.params, state["momentum"], strict=True)
        ]
