"""Images of no class: far from all that is known, and not sure of any class."""

from __future__ import annotations

import numpy as np

from labelclean.judging.outliers import no_class


def _cloud(count: int, seed: int) -> np.ndarray:
    """Three classes: directions in 16 dimensions with some spread."""
    rng = np.random.default_rng(seed)
    centres = np.eye(16)[:3] * 10
    return (centres[rng.integers(0, 3, count)] + rng.normal(0, 1, (count, 16))).astype(np.float16)


def test_far_and_unsure_images_are_flagged_and_hardly_any_others():
    embeddings = _cloud(600, seed=0)
    embeddings[:10] = np.eye(16)[5] * 10  # a direction that no class has
    probs = np.full(600, 0.9, dtype=np.float32)
    probs[:5] = 0.4
    probs[300:310] = 0.4  # unsure, but among what is known
    is_right = np.ones(600, dtype=bool)
    is_right[:10] = False
    found = no_class(embeddings, probs, is_right, 3)
    assert found[:5].all()
    assert not found[5:10].any()  # the network is sure of them
    assert found[10:].sum() <= 2  # of the ten unsure ones in the midst of what is known


def test_rows_without_an_image_and_too_little_knowledge_flag_nothing():
    embeddings = _cloud(100, seed=1)
    embeddings[3] = np.nan
    probs = np.full(100, 0.3, dtype=np.float32)
    probs[3] = np.nan
    is_right = np.arange(100) != 3
    assert not no_class(embeddings, probs, is_right, 3)[3]
    assert not no_class(embeddings[:20], probs[:20], is_right[:20], 3).any()


def test_rows_that_have_probabilities_and_no_features_flag_nothing_and_change_nothing():
    """As where --features FILE lacks some rows that the network has seen."""
    embeddings = _cloud(600, seed=0)
    embeddings[90] = np.eye(16)[5] * 10
    probs = np.full(600, 0.9, dtype=np.float32)
    probs[[3, 90]] = 0.4
    is_right = ~np.isin(np.arange(600), (3, 90))
    whole = no_class(embeddings, probs, is_right, 3)
    embeddings[3] = np.nan
    found = no_class(embeddings, probs, is_right, 3)
    assert not found[3] and found[90]
    assert (np.delete(found, 3) == np.delete(whole, 3)).all()
    is_right[3] = True  # believed by its probabilities
    assert not no_class(embeddings, probs, is_right, 3)[3]
