"""Two of a command at once: the second is refused, or finds the work done; nothing is mixed up."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from fault_data import FILTER, TRAIN, tree
from forked import Zygote
from test_kills import APPLY, EXPORT, INJECT, PREDICT

from labelclean.learning.model_folder import load_model
from labelclean.report.report import Report

COMMANDS = {
    "filter": ((*FILTER, "--force", "--seed", 0), (*FILTER, "--force", "--seed", 1)),
    "train": ((*TRAIN, "--force", "--seed", 0), (*TRAIN, "--force", "--seed", 1)),
    "predict": ((*PREDICT, "--force"), (*PREDICT, "--force", "--batch-size", 3)),
    "apply": (APPLY, APPLY),
    "apply and undo": (APPLY, ("apply", "--undo", "clean.csv")),
    "export": (EXPORT, EXPORT),
    "inject-noise": ((*INJECT, "--seed", 0), (*INJECT, "--seed", 1)),
}


@pytest.mark.parametrize("name", COMMANDS)
def test_two_at_once(name: str, zygote: Zygote, copied: Callable[[], Path]):
    commands = COMMANDS[name]
    alone = []
    for words in commands:
        folder = copied()
        if zygote.run(folder, *words).code == 0:
            alone.append(tree(folder))
    for _ in range(2):
        folder = copied()
        started = [zygote.start(folder, *words) for words in commands]
        ended = [zygote.wait(pid) for pid in started]
        for each in ended:
            if each.code != 0:
                each.check_refused()
        assert any(each.code == 0 for each in ended), ended
        now = tree(folder)
        assert now in alone or (name == "apply and undo" and now == tree(copied()))
        if name == "filter":
            seed = Report.read(folder / "report.csv").meta.seed
            assert [each.code for each in ended][seed] == 0
            load = (folder / "report.run" / "model.safetensors").read_bytes()
            assert load == {0: _weights(zygote, copied, 0), 1: _weights(zygote, copied, 1)}[seed]
        if name == "train":
            load_model(folder / "model")


def _weights(zygote: Zygote, copied: Callable[[], Path], seed: int) -> bytes:
    folder = copied()
    assert zygote.run(folder, *FILTER, "--force", "--seed", seed).code == 0
    return (folder / "report.run" / "model.safetensors").read_bytes()
