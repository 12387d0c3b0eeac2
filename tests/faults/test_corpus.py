"""Inputs with which fuzzing once found a fault: a result or one line, never a traceback."""

from __future__ import annotations

from pathlib import Path

import pytest
from fuzz_readers import World

CORPUS = Path(__file__).parent / "corpus"


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    return World(tmp_path_factory.mktemp("world"))


@pytest.mark.parametrize("path", sorted(CORPUS.iterdir()), ids=lambda path: path.name)
def test_an_input_of_the_corpus(path: Path, world: World) -> None:
    world.read(path.read_bytes())


def test_each_reader_reads_the_seed_of_its_kind(world: World) -> None:
    """Else the fuzzing would see one line for every input."""
    for number, (name, reader) in enumerate(world.readers.items()):
        if "sqlite" not in name and "jsonl" not in name and name not in ("log", "labels.tsv"):
            reader((CORPUS / f"seed{number}.bin").read_bytes()[1:])
