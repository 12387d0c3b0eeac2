"""The optimiser: torch's own arithmetic, without what torch's class brings along."""

from __future__ import annotations

import subprocess
import sys

import pytest
import torch
from torch import nn

from labelclean.config import TrainConfig
from labelclean.learning.sgd import Sgd


def _steps(optimizer, model, count=7, *, rate=lambda optimizer, lr: None):
    generator = torch.Generator().manual_seed(1)
    for step in range(count):
        rate(optimizer, 0.1 / (step + 1))
        model.zero_grad()
        model(torch.randn(5, 4, generator=generator)).square().sum().backward()
        optimizer.step()


def _model():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(4, 3), nn.ReLU(), nn.Linear(3, 2))


def _set_lr(optimizer, lr):
    optimizer.lr = lr


def _set_group_lr(optimizer, lr):
    optimizer.param_groups[0]["lr"] = lr


@pytest.mark.parametrize("nesterov", [True, False])
def test_it_gives_the_bits_of_torch(nesterov):
    config = TrainConfig(momentum=0.9, weight_decay=1e-3, nesterov=nesterov)
    ours, theirs = _model(), _model()
    _steps(Sgd(ours.parameters(), config), ours, rate=_set_lr)
    of_torch = torch.optim.SGD(
        theirs.parameters(), lr=1.0, momentum=0.9, weight_decay=1e-3, nesterov=nesterov
    )
    _steps(of_torch, theirs, rate=_set_group_lr)
    for one, other in zip(ours.parameters(), theirs.parameters(), strict=True):
        assert torch.equal(one, other)


def test_a_resumed_one_goes_on_where_it_was():
    config = TrainConfig()
    whole, cut = _model(), _model()
    optimizer = Sgd(whole.parameters(), config)
    _steps(optimizer, whole, 3)
    before = Sgd(cut.parameters(), config)
    _steps(before, cut, 3)
    after = Sgd(cut.parameters(), config)
    after.load(before.state())
    before.load({"lr": 1.0, "momentum": [None] * 4})  # it owns its buffers
    for each, model in ((optimizer, whole), (after, cut)):
        _steps(each, model, 3)
    for one, other in zip(whole.parameters(), cut.parameters(), strict=True):
        assert torch.equal(one, other)


def test_what_has_no_gradient_stays():
    model = _model()
    optimizer = Sgd(model.parameters(), TrainConfig())
    start = [param.detach().clone() for param in model.parameters()]
    model.zero_grad()
    model[2](torch.ones(1, 3)).sum().backward()
    optimizer.step()
    moved = [not torch.equal(a, b) for a, b in zip(start, model.parameters(), strict=True)]
    assert moved == [False, False, True, True]


def test_the_compiler_is_not_imported():
    """torch.optim.SGD imports it at its first use, 1.4 s."""
    script = """
import sys
import torch
from labelclean.config import TrainConfig
from labelclean.learning.sgd import Sgd
model = torch.nn.Linear(2, 1)
optimizer = Sgd(model.parameters(), TrainConfig())
model.zero_grad()
model(torch.ones(1, 2)).sum().backward()
optimizer.step()
print("torch._dynamo" in sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.stdout.strip() == "False", done.stderr
