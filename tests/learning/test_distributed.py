"""Two processes of torchrun learn what one process learns."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import Any

import distributed_member
import loky
import pytest
import torch

from labelclean.learning import distributed

TORCHRUN = (sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node")


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    """What one process found, and each of two."""
    folder = tmp_path_factory.mktemp("team")
    distributed_member.main(folder / "one")
    words = [*TORCHRUN, "2", distributed_member.__file__, str(folder / "two")]
    done = subprocess.run(
        words, env={**os.environ, "OMP_NUM_THREADS": "1"}, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    # the second process has ended before
    assert (folder / "alone").read_text() == "0 of 1, cores all"
    return [torch.load(folder / name, weights_only=True) for name in ("one0", "two0", "two1")]


def _assert_close(found: Any, expected: Any, **tolerances: float) -> None:
    torch.testing.assert_close(found, expected, equal_nan=True, **tolerances)


@pytest.mark.parametrize(
    "what", [*distributed_member.METHODS_TRIED, "consistent", "streamed", "normed"]
)
def test_two_processes_learn_and_predict_what_one_does(found: list[dict[str, Any]], what: str):
    one, two, _ = found
    _assert_close(two[what], one[what], rtol=2e-3, atol=2e-4)


@pytest.mark.parametrize("what", ["jnpl", "co-teaching", "normed"])
def test_all_processes_know_the_same(found: list[dict[str, Any]], what: str):
    _, first, second = found
    _assert_close(second[what], first[what], rtol=0.0, atol=0.0)


def test_a_run_of_two_processes_that_was_stopped_ends_as_if_it_had_not_been(
    found: list[dict[str, Any]],
):
    for each in found:
        _assert_close(each["resumed"], each["normed"], rtol=0.0, atol=0.0)


def test_each_process_reads_its_share_of_the_images(found: list[dict[str, Any]]):
    one, first, second = (each["shapes"] for each in found)
    statistics = distributed_member.COUNT  # the colours are those of all
    shares = [int(each["asked"]) - statistics for each in (first, second)]
    assert sum(shares) == int(one["asked"]) - statistics
    assert abs(shares[0] - shares[1]) <= 6  # one image in each step


def test_the_processes_of_a_machine_share_its_cores_for_decoding(found: list[dict[str, Any]]):
    half = max(1, loky.cpu_count() // 2)
    assert [int(each["shapes"]["cores"]) for each in found] == [0, half, half]


def test_all_take_what_the_first_one_measured(found: list[dict[str, Any]]):
    assert [int(each["shapes"]["agreed"]) for each in found] == [10, 10, 10]


def test_shares_are_even_and_cover_all(monkeypatch: pytest.MonkeyPatch):
    for size in (1, 2, 3, 8):
        monkeypatch.setattr(distributed, "size", lambda size=size: size)
        for count in (0, 1, 7, 64):
            shares = [distributed.own(count, of) for of in range(size)]
            assert [at for each in shares for at in range(count)[each]] == list(range(count))
            lengths = [each.stop - each.start for each in shares]
            assert max(lengths) - min(lengths) <= 1
