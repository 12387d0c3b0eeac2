"""Calibration: one temperature that makes a network's probabilities mean what they say."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax, logsumexp

FEWEST = 20  # images: fewer say too little of how sure the network may be
COLDEST, HOTTEST = 0.05, 20.0
SPREAD = 0.5  # of log T about 0 before an image is seen: few noisy labels are no ground to go far


def negative_log_likelihood(
    logits: NDArray[np.float32], likelihood: NDArray[np.float32], temperature: float
) -> float:
    """Sum of -log sum_k p_k l_k in nats, with the logits (m, c) divided by the temperature."""
    log_p = log_softmax(logits.astype(np.float64) / temperature, axis=1)
    return float(-logsumexp(log_p, b=likelihood, axis=1).sum())


def fit_temperature(logits: NDArray[np.float32], likelihood: NDArray[np.float32]) -> float:
    """The most probable temperature (Guo et al. 2017); 1 for too few images.

    logits      (m, c)  of images that were not trained on
    likelihood  (m, c)  how probable what is known of an image is if it is of the class: of a true
                label 1 for that class alone, of a noisy one its column of the transition matrix
                (so the forward correction of Patrini et al. 2017, for one parameter)
    """
    if len(likelihood) < FEWEST:
        return 1.0
    minimum = minimize_scalar(
        lambda log_t: (
            negative_log_likelihood(logits, likelihood, float(np.exp(log_t)))
            + (log_t / SPREAD) ** 2 / 2
        ),
        bounds=(np.log(COLDEST), np.log(HOTTEST)),
        method="bounded",
    )
    return float(np.exp(minimum.x))
