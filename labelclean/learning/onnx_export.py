"""A trained model as ONNX, compared with what torch says before anyone gets it."""

from __future__ import annotations

import importlib.util

import numpy as np
import torch
from torch import Tensor, nn

from labelclean.errors import ConfigError, RunError
from labelclean.learning.model_folder import TrainedModel

NEEDED = ("onnx", "onnxruntime", "onnxscript")
CLOSE = 1e-4  # largest difference of a probability: other kernels add up in another order
TRIED = 5  # images, another number than was traced, so that the batch is shown to be free


class _Probabilities(nn.Module):
    def __init__(self, model: TrainedModel) -> None:
        super().__init__()
        self.model = model

    def forward(self, images: Tensor) -> Tensor:
        probs: Tensor = self.model(images).softmax(dim=1)
        return probs


def check_can_export() -> None:
    """Raises ConfigError if what exporting needs is not installed."""
    missing = [name for name in NEEDED if importlib.util.find_spec(name) is None]
    if missing:
        raise ConfigError(
            f"--export onnx needs {', '.join(missing)}: pip install 'labelclean[onnx]'"
        )


def onnx_bytes(model: TrainedModel) -> bytes:
    """images (batch, 3, s, s) as the transform makes them -> probabilities (batch, c).

    The temperature and the softmax are included; the opset is torch's current one.

    Raises RunError if the architecture cannot be exported, or the result says something else.
    """
    import onnxruntime  # type: ignore[import-untyped]  # it ships no type hints

    model.eval()
    probabilities = _Probabilities(model).eval()
    side = model.config.image_size
    generator = torch.Generator().manual_seed(0)
    images = torch.randn(TRIED, 3, side, side, generator=generator)
    arch = model.config.architecture
    try:
        program = torch.onnx.export(
            probabilities,
            (images[:2],),
            dynamo=True,
            input_names=["images"],
            output_names=["probabilities"],
            dynamic_shapes={"images": {0: torch.export.Dim("batch")}},
            verbose=False,
        )
    except torch.onnx.OnnxExporterError as error:
        reason = (str(error).splitlines() or ["unknown"])[0]
        raise RunError(
            f"--export onnx: {arch} cannot be exported ({reason}); leave --export out"
        ) from None
    if program is None:
        raise ValueError("torch.onnx.export gave no program")
    data: bytes = program.model_proto.SerializeToString()
    session = onnxruntime.InferenceSession(data, providers=["CPUExecutionProvider"])
    (logits,) = session.run(None, {"images": images.numpy()})
    with torch.no_grad():
        expected = probabilities(images).numpy()
    difference = float(np.abs(np.asarray(logits) - expected).max())
    if not difference < CLOSE:
        raise RunError(
            f"--export onnx: onnxruntime's probabilities differ by {difference:.2g} from torch's; "
            "leave --export out and report this"
        )
    return data
