"""Noise that the image decides: Xia et al. 2020, Algorithm 2."""

from __future__ import annotations

import numpy as np
from scipy.special import ndtr, ndtri

from labelclean.data.instance_noise import instance_dependent


def test_instance_noise_is_algorithm_2_of_its_paper():
    rng = np.random.default_rng(1)
    pixels = rng.integers(0, 2, (60, 2, 2, 3), dtype=np.uint8)  # small, so that the softmax is soft
    labels = rng.integers(0, 4, 60)
    noisy = instance_dependent(pixels, labels, 4, 0.5, np.random.default_rng(5))
    stream = np.random.default_rng(5)
    low, high = ndtr(-5.0), ndtr(5.0)
    q = [0.5 + 0.1 * ndtri(low + u * (high - low)) for u in stream.random(60)]
    draws = stream.random(60)
    w = [ndtri(stream.random((12, 4))) for _ in range(4)]
    for i in range(60):
        p = pixels[i].ravel() @ w[labels[i]]
        p[labels[i]] = -np.inf
        p = q[i] * np.exp(p) / np.exp(p).sum()
        p[labels[i]] = 1 - q[i]
        expected = next(k for k in range(4) if draws[i] < p[: k + 1].sum())
        assert noisy[i] == expected
    assert 15 < (noisy != labels).sum() < 45


def test_instance_noise_sends_the_same_image_always_to_the_same_class():
    rng = np.random.default_rng(2)
    pixels = np.repeat(rng.integers(0, 256, (20, 8, 8, 3), dtype=np.uint8), 100, axis=0)
    labels = np.repeat(np.arange(20) % 5, 100)
    noisy = instance_dependent(pixels, labels, 5, 0.3, np.random.default_rng(0))
    targets = [set(noisy[k : k + 100]) - {labels[k]} for k in range(0, 2000, 100)]
    assert all(len(found) == 1 for found in targets)
    assert len(set().union(*targets)) > 1
    assert abs((noisy != labels).mean() - 0.3) < 4 * np.sqrt(0.21 / 2000)
    assert (instance_dependent(pixels, labels, 5, 0, np.random.default_rng(0)) == labels).all()
