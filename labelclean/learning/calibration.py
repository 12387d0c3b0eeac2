"""Calibration: one temperature that makes a network's probabilities mean what they say."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax

FEWEST = 20  # images: fewer say too little of how sure the network may be
COLDEST, HOTTEST = 0.05, 20.0


def negative_log_likelihood(
    logits: NDArray[np.float32], labels: NDArray[np.int64], temperature: float
) -> float:
    """Mean of -log p_y in nats, with the logits (m, c) divided by the temperature."""
    log_p = log_softmax(logits.astype(np.float64) / temperature, axis=1)
    return float(-log_p[np.arange(len(labels)), labels].mean())


def fit_temperature(logits: NDArray[np.float32], labels: NDArray[np.int64]) -> float:
    """The temperature that makes the labels most likely (Guo et al. 2017); 1 for too few images.

    logits  (m, c)  of images that were not trained on
    labels  (m,)    their classes
    """
    if len(labels) < FEWEST:
        return 1.0
    found = minimize_scalar(
        lambda log_t: negative_log_likelihood(logits, labels, float(np.exp(log_t))),
        bounds=(np.log(COLDEST), np.log(HOTTEST)),
        method="bounded",
    )
    return float(np.exp(found.x))
