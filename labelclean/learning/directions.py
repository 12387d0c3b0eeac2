"""The directions in which features vary most: fewer inputs for heads that would take long."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

ROWS = 10_000  # that stand for all


def leading_directions(
    features: NDArray[np.float16],
    rows: NDArray[np.int64],
    mean: Tensor,
    std: Tensor,
    *,
    count: int,
    seed: int,
) -> Tensor:
    """Directions (f, count) that span the leading principal components of standardised features.

    They are turned at random in that space, so that each sees as much of it, and scaled so that
    what they see varies by 1 in the mean: heads weigh the components as they weigh the features.

    mean, std  (f,) of the features of the rows, on the device that computes
    """
    generator = np.random.Generator(np.random.PCG64((seed, 4)))
    if len(rows) > ROWS:
        rows = np.sort(generator.choice(rows, ROWS, replace=False))
    seen = (torch.from_numpy(features[rows].astype(np.float32)).to(mean.device) - mean) / std
    variances, components = torch.linalg.eigh(seen.T @ seen / len(seen))
    mixed = generator.standard_normal((count, count), dtype=np.float32)
    turned, _ = torch.linalg.qr(torch.from_numpy(mixed).to(mean.device))
    directions: Tensor = components[:, -count:] @ turned / variances[-count:].mean().sqrt()
    return directions
