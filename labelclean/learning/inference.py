"""Predictions of a trained network on stored pixels, in evaluation mode and float32."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from labelclean.data.batches import PixelRows
from labelclean.data.transform import Transform
from labelclean.errors import RunError
from labelclean.learning import runtime

AT_ONCE = 256  # images


@torch.no_grad()
def logits_of(
    network: nn.Module, transform: Transform, pixels: NDArray[np.uint8], device: torch.device
) -> NDArray[np.float32]:
    """pixels (b, s, s, 3) -> logits (b, c), in smaller parts where memory does not suffice.

    Raises RunError if it does not suffice for one image.
    """
    try:
        images = transform.normalised(torch.from_numpy(pixels).to(device))
        logits: NDArray[np.float32] = network(images).float().cpu().numpy()
        return logits
    except RuntimeError as error:
        if not runtime.is_out_of_memory(error):
            raise
    # outside of except: the error's traceback would keep the tensors alive
    if len(pixels) == 1:
        raise RunError(f"out of memory on {device} with one image; give --device cpu")
    if device.type == "cuda":
        torch.cuda.empty_cache()
    halves = np.array_split(pixels, 2)
    return np.concatenate([logits_of(network, transform, half, device) for half in halves])


def logits_of_rows(
    network: nn.Module,
    transform: Transform,
    pixels: PixelRows,
    rows: NDArray[np.int64],
    device: torch.device,
    on_rows: Callable[[int, int], None] = lambda done, total: None,
) -> NDArray[np.float32]:
    """Logits (m, c) of the rows (m,); on_rows hears how many of how many are done.

    Raises ValueError if there are no rows.
    """
    if not len(rows):
        raise ValueError("no rows to apply the network to")
    network.eval()
    parts = []
    for start in range(0, len(rows), AT_ONCE):
        part = pixels.rows(rows[start : start + AT_ONCE])
        parts.append(logits_of(network, transform, part, device))
        on_rows(min(start + AT_ONCE, len(rows)), len(rows))
    return np.concatenate(parts)
