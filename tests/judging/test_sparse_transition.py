"""The transition matrix of many classes by some of its cells: the same as by all of them."""

from __future__ import annotations

import numpy as np
import pytest
from simulated_networks import decide, said, symmetric

from labelclean.data import noise
from labelclean.judging import noise_model, verdicts
from labelclean.judging.candidates import Candidates, gather_candidates
from labelclean.judging.sparse_transition import SparseTransition
from labelclean.judging.transitions import FullTransition
from labelclean.judging.tuned import TUNED, NoiseModelConfig
from labelclean.predictions import Predictions

CLASSES = 40


def simulated(rows: int, classes: int, top: int = 4) -> tuple[np.ndarray, Predictions]:
    """Given labels with pairs that are mixed up, and what a network says of its `top` classes."""
    rng = np.random.default_rng(0)
    truth = rng.integers(0, classes, rows)
    matrix = 0.5 * symmetric(classes, 0.2) + 0.5 * (
        0.6 * np.eye(classes) + 0.4 * np.roll(np.eye(classes), 1, 1)
    )
    given = noise.by_matrix(truth, matrix, np.random.Generator(np.random.PCG64(0)))
    logits = rng.normal(0, 1, (rows, classes))
    logits[np.arange(rows), truth] += 5.0
    return given, said(logits, given, top)


def candidates_of(given: np.ndarray, outputs: Predictions, classes: int) -> Candidates:
    return gather_candidates(
        given,
        outputs.p_given,
        outputs.top_classes,
        outputs.top_probs,
        classes,
        np.ones(len(given), bool),
    )


def steps(
    candidates: Candidates, classes: int, config: NoiseModelConfig, shares: np.ndarray
) -> tuple[FullTransition, SparseTransition]:
    """Both after four steps, from the same shares (m, q) of candidates and others each time."""
    full = FullTransition.even(classes, 0.85)
    sparse = SparseTransition.even(candidates, classes, 0.85)
    rest = 1 - shares.sum(axis=1)
    for _ in range(4):
        full = full.learned(candidates, shares, rest, config)
        sparse = sparse.learned(candidates, shares, rest, config)
    return full, sparse


def drawn_shares(candidates: Candidates) -> np.ndarray:
    rng = np.random.default_rng(1)
    shares = rng.dirichlet(np.ones(candidates.classes.shape[1] + 1), len(candidates.classes))
    return np.where(candidates.classes >= 0, shares[:, 1:], 0.0)


@pytest.mark.parametrize("pull", [TUNED.pull, 0.0])
def test_its_steps_are_those_of_all_cells(pull: float):
    candidates = candidates_of(*simulated(400, CLASSES), CLASSES)
    config = NoiseModelConfig(pull=pull)
    full, sparse = steps(candidates, CLASSES, config, drawn_shares(candidates))
    np.testing.assert_allclose(sparse.matrix(), full.matrix(), rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(sparse.matrix().sum(axis=1), 1)
    assert sparse.concentration() == pytest.approx(full.concentration(), rel=1e-9)
    some = np.array([3, 3, 0, CLASSES - 1])
    np.testing.assert_allclose(sparse.rows(some), full.rows(some), rtol=1e-9, atol=1e-12)


def test_other_rows_see_the_same_in_it():
    given, outputs = simulated(900, CLASSES)
    all_rows = candidates_of(given, outputs, CLASSES)
    begun_with = all_rows.take(np.arange(300))
    full, sparse = steps(begun_with, CLASSES, TUNED, drawn_shares(begun_with))
    for rows in (all_rows, begun_with):
        for by_cells, by_all in zip(sparse.flips(rows), full.flips(rows), strict=True):
            np.testing.assert_allclose(by_cells, by_all, rtol=1e-9, atol=1e-12)


def test_a_class_whose_labels_are_all_wrong_bounds_cells_that_no_row_names():
    given, outputs = simulated(300, CLASSES, top=2)
    candidates = candidates_of(given, outputs, CLASSES)
    shares = drawn_shares(candidates)
    shares[:, 1:] = np.where(candidates.classes[:, 1:] == 7, 0.9, 0.0)
    shares[:, 0] = np.where(given == 7, 0.0, 0.05)
    config = NoiseModelConfig(pull=0.01)  # with the usual one none is so wrong
    full, sparse = steps(candidates, CLASSES, config, shares)
    assert len(sparse.values) > len(SparseTransition.even(candidates, CLASSES, 0.85).values)
    np.testing.assert_allclose(sparse.matrix(), full.matrix(), rtol=1e-9, atol=1e-12)


def test_rows_it_was_not_begun_with_teach_it_nothing():
    candidates = candidates_of(*simulated(40, CLASSES), CLASSES)
    sparse = SparseTransition.even(candidates, CLASSES, 0.85)
    others = candidates.take(np.arange(20))
    with pytest.raises(ValueError, match="others than it was begun with"):
        sparse.learned(others, drawn_shares(others), np.zeros(20), TUNED)


def test_verdicts_are_the_same_by_some_cells_and_by_all(monkeypatch: pytest.MonkeyPatch):
    given, outputs = simulated(3000, 60)
    by_all = decide(given, outputs, 60)
    monkeypatch.setattr(noise_model, "FULL_CLASSES", 10)
    by_cells = decide(given, outputs, 60)
    for name in ("label_score", "issue_probability", "suggested_probability", "transition_matrix"):
        np.testing.assert_allclose(getattr(by_cells, name), getattr(by_all, name), 1e-6, 1e-12)
    np.testing.assert_array_equal(by_cells.suggested, by_all.suggested)
    assert by_cells.noise_rate == pytest.approx(by_all.noise_rate, rel=1e-9)
    assert by_cells.confusable_pairs == by_all.confusable_pairs


def test_of_thousands_of_classes_no_matrix_is_given_out(monkeypatch: pytest.MonkeyPatch):
    given, outputs = simulated(4000, 250)
    with_matrix = decide(given, outputs, 250)
    monkeypatch.setattr(verdicts, "MATRIX_CLASSES", 200)
    decided = decide(given, outputs, 250)
    assert decided.transition_matrix is None
    np.testing.assert_array_equal(decided.label_score, with_matrix.label_score)
    confusions = verdicts.transition(given, outputs, 250, seed=0)
    assert isinstance(confusions, SparseTransition)
    np.testing.assert_allclose(confusions.rows(given[:20]).sum(axis=1), 1)
