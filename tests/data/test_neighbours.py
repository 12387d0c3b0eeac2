"""The nearest images: of few those of all, of many those of a common cell."""

from __future__ import annotations

import numpy as np
import pytest

from labelclean.data import neighbours
from labelclean.data.neighbours import nearest_pairs


def _embeddings(count: int) -> np.ndarray:
    rng = np.random.default_rng(0)
    centres = rng.normal(size=(20, 16))
    return (centres[rng.integers(0, 20, count)] + rng.normal(size=(count, 16))).astype(np.float16)


def _pairs(embeddings: np.ndarray, each: int = 3) -> set[tuple[int, int]]:
    one, other = nearest_pairs(len(embeddings), embeddings.__getitem__, each)
    assert (one < other).all()
    pairs = set(zip(one.tolist(), other.tolist(), strict=True))
    assert len(pairs) == len(one)
    return pairs


def test_of_few_images_the_nearest_of_all_are_found():
    embeddings = _embeddings(60)
    unit = embeddings.astype(np.float64) - embeddings.astype(np.float64).mean(axis=0)
    unit /= np.linalg.norm(unit, axis=1, keepdims=True)
    cosines = unit @ unit.T - 2 * np.eye(60)
    expected = {
        (min(k, int(n)), max(k, int(n)))
        for k in range(60)
        for n in np.argsort(-cosines[k], kind="stable")[:3]
    }
    assert len(_pairs(embeddings) ^ expected) <= 2  # of nearly equal ones either


def test_of_many_images_most_of_the_nearest_are_found(monkeypatch: pytest.MonkeyPatch):
    embeddings = _embeddings(3_000)
    exact = _pairs(embeddings)
    monkeypatch.setattr(neighbours, "EXACT", 1_000)
    assert len(_pairs(embeddings) & exact) / len(exact) > 0.95


def test_many_equal_images_and_one_without_an_embedding_do_not_disturb(
    monkeypatch: pytest.MonkeyPatch,
):
    monkeypatch.setattr(neighbours, "EXACT", 50)
    monkeypatch.setattr(neighbours, "LARGEST", 60)
    embeddings = _embeddings(400)
    embeddings[100:300] = embeddings[0]
    embeddings[350] = np.nan
    pairs = _pairs(embeddings)
    met = {place for pair in pairs for place in pair}
    assert met >= set(range(100, 300))
    whole = {place for pair in pairs if pair[0] in (1, 2, 3) for place in pair}
    assert whole >= {1, 2, 3}
