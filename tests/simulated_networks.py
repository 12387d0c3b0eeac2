"""Simulated networks: their predictions for labels, and the verdicts on these."""

from __future__ import annotations

from typing import Any

import numpy as np

from labelclean.config import VerdictConfig
from labelclean.judging import verdicts
from labelclean.predictions import Predictions

EVEN = VerdictConfig()


def said(logits: np.ndarray, given: np.ndarray, top: int = 10) -> Predictions:
    rows, kept = np.arange(len(logits)), min(top, logits.shape[1])
    probs = np.exp(logits - logits.max(axis=1, keepdims=True))
    probs /= probs.sum(axis=1, keepdims=True)
    others = logits.copy()
    others[rows, given] = -np.inf
    margin = logits[rows, given] - others.max(axis=1)
    classes = np.argsort(-probs, axis=1, kind="stable")[:, :kept]
    drawn = np.empty((len(logits), 0), np.int64)
    if kept < logits.shape[1]:
        shift = np.random.default_rng(1).integers(1, logits.shape[1], (len(logits), 3))
        drawn = (given[:, None] + shift) % logits.shape[1]
    p = probs[rows, given].astype(np.float32)
    return Predictions(
        p_given=p,
        margin=margin.astype(np.float32),
        top_classes=classes.astype(np.int32),
        top_probs=np.take_along_axis(probs, classes, axis=1).astype(np.float32),
        epoch_p_given=p,
        epoch_margin=margin.astype(np.float32),
        other_classes=drawn.astype(np.int32),
        other_probs=np.take_along_axis(probs, drawn, axis=1).astype(np.float32),
    )


def symmetric(num_classes: int, rate: float) -> np.ndarray:
    matrix = np.full((num_classes, num_classes), rate / (num_classes - 1))
    np.fill_diagonal(matrix, 1 - rate)
    return matrix


def decide(
    given: np.ndarray, outputs: Predictions, classes: int, **options: Any
) -> verdicts.Verdicts:
    return verdicts.decide(
        given, outputs, num_classes=classes, **{"verdict": EVEN, "seed": 0, **options}
    )
