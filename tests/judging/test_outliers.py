"""Images of no class: far from all that is known, and not sure of any class."""

from __future__ import annotations

import numpy as np

from labelclean.judging.outliers import NoClass, no_class


def _cloud(count: int, seed: int) -> np.ndarray:
    """Three classes: directions in 16 dimensions with some spread."""
    rng = np.random.default_rng(seed)
    centres = np.eye(16)[:3] * 10
    return (centres[rng.integers(0, 3, count)] + rng.normal(0, 1, (count, 16))).astype(np.float16)


def _judged(
    embeddings: np.ndarray, probs: np.ndarray, wrong: tuple[int, ...] = (), classes: int = 3
) -> NoClass:
    """With the labels of the rows `wrong` judged wrong, all others right."""
    is_issue = np.isin(np.arange(len(probs)), wrong)
    issue_probability = np.where(np.isnan(probs), np.nan, np.where(is_issue, 0.99, 0.01))
    return no_class(embeddings, probs, issue_probability, is_issue, classes)


def _strange(count: int, seed: int) -> np.ndarray:
    """A direction that no class has."""
    rng = np.random.default_rng(seed)
    return (np.eye(16)[9] * 30 + rng.normal(0, 1, (count, 16))).astype(np.float16)


def _sure(count: int) -> np.ndarray:
    return np.random.default_rng(2).uniform(0.8, 0.99, count).astype(np.float32)


def test_far_and_unsure_images_are_flagged_and_hardly_any_others():
    embeddings, probs = _cloud(900, seed=0), _sure(900)
    embeddings[:10] = _strange(10, seed=3)
    probs[:10] = 0.4
    probs[300:310] = 0.4  # unsure, but among what is known
    found = _judged(embeddings, probs, wrong=tuple(range(5)))
    assert found.is_none[:10].all()  # whether the label is doubted or not
    assert found.is_none[10:].sum() <= 10


def test_a_doubted_label_is_not_of_no_class_where_another_class_fits():
    embeddings, probs = _cloud(900, seed=0), _sure(900)
    embeddings[:10] = _strange(10, seed=3)
    probs[:10] = 0.4
    wrong = tuple(range(10)) + tuple(range(100, 200))
    found = _judged(embeddings, probs, wrong)
    assert found.is_none[:10].all() and found.is_none[100:200].sum() <= 2
    order = np.argsort(found.score)
    assert set(order[:10]) == set(range(10))
    assert (found.score >= 0).all() and (found.score <= 1).all()


def test_rows_without_an_image_and_too_little_knowledge_flag_nothing():
    embeddings, probs = _cloud(900, seed=1), _sure(900)
    embeddings[3] = np.nan
    probs[3] = np.nan
    found = _judged(embeddings, probs)
    assert not found.is_none[3] and np.isnan(found.score[3])
    few = _judged(embeddings[4:400], probs[4:400])
    assert not few.is_none.any() and np.isnan(few.score).all()


def test_rows_that_have_probabilities_and_no_features_flag_nothing_and_change_nothing():
    """As where --features FILE lacks some rows that the network has seen."""
    embeddings, probs = _cloud(900, seed=0), _sure(900)
    embeddings[90] = _strange(1, seed=3)[0]
    probs[[3, 90]] = 0.4
    whole = _judged(np.delete(embeddings, 3, axis=0), np.delete(probs, 3))
    embeddings[3] = np.nan
    found = _judged(embeddings, probs)
    assert not found.is_none[3] and np.isnan(found.score[3]) and found.is_none[90]
    assert (np.delete(found.is_none, 3) == whole.is_none).all()
    np.testing.assert_array_equal(np.delete(found.score, 3), whole.score)
