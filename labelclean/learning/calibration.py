"""Calibration: one temperature that makes a network's probabilities mean what they say."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax

FEWEST = 20  # images: fewer say too little of how sure the network may be
COLDEST, HOTTEST = 0.05, 20.0


def cross_entropy(
    logits: NDArray[np.float32], targets: NDArray[np.float32], temperature: float
) -> float:
    """Mean of -sum_k t_k log p_k in nats, with the logits (m, c) divided by the temperature."""
    log_p = log_softmax(logits.astype(np.float64) / temperature, axis=1)
    return float(-(targets * log_p).sum(axis=1).mean())


def fit_temperature(logits: NDArray[np.float32], targets: NDArray[np.float32]) -> float:
    """The temperature that makes the targets most likely (Guo et al. 2017); 1 for too few images.

    logits   (m, c)  of images that were not trained on
    targets  (m, c)  how probable each class is held to be; rows of 0 and 1 are labels
    """
    if len(targets) < FEWEST:
        return 1.0
    found = minimize_scalar(
        lambda log_t: cross_entropy(logits, targets, float(np.exp(log_t))),
        bounds=(np.log(COLDEST), np.log(HOTTEST)),
        method="bounded",
    )
    return float(np.exp(found.x))
