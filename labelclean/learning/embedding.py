"""Features of images by a pretrained network, at the speed of the best runtime at hand.

On a CPU OpenVINO runs the network, about twice as fast as PyTorch (examples/benchmark, gpu.py speed
--device cpu prints both); on a GPU PyTorch does, in half precision.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from labelclean.learning import runtime
from labelclean.learning.backbones import Backbone
from labelclean.learning.models import enlarging

SMALL, ENLARGED = 64, 160  # px: images up to SMALL are enlarged to ENLARGED
REQUEST = 16  # images of one request to OpenVINO: larger ones fall out of the CPU's cache
STEP = 256  # images of one step of PyTorch
FEW = 400  # images that PyTorch has seen before OpenVINO has started

Embed = Callable[[NDArray[np.uint8]], NDArray[np.float32]]  # (b, s, s, 3) -> (b, width)


def network_size(size: int) -> int:
    """px of the square that the network gets to see of images stored at `size` px."""
    return ENLARGED if size <= SMALL else size


def embedder(
    backbone: Backbone, size: int, device: torch.device, *, count: int, mirror: bool
) -> Embed:
    """A function from stored pixels (b, size, size, 3) uint8 to features (b, width) float32.

    count   images in all: OpenVINO takes seconds to start, which few images are not worth
    mirror  average the features of each image and its mirror image, in twice the time
    """
    is_worth_it = device.type == "cpu" and count >= FEW
    embed = (_by_openvino(backbone, size) if is_worth_it else None) or _by_torch(
        backbone, size, device
    )
    if not mirror:
        return embed

    def both(pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        flipped = np.ascontiguousarray(pixels[:, :, ::-1])
        return np.asarray((embed(pixels) + embed(flipped)) / 2, dtype=np.float32)

    return both


def _normalised(backbone: Backbone, images: Tensor, size: int) -> Tensor:
    """uint8 (b, s, s, 3) -> (b, 3, t, t) as the network was trained to see images."""
    floats = images.permute(0, 3, 1, 2).float()
    if (wanted := network_size(size)) != size:
        along = enlarging(size, wanted).to(images.device)
        floats = along @ floats @ along.T
    mean = torch.tensor(backbone.mean, device=images.device)[:, None, None]
    std = torch.tensor(backbone.std, device=images.device)[:, None, None]
    return (floats - mean) / std


def _by_torch(backbone: Backbone, size: int, device: torch.device) -> Embed:
    network = backbone.network.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    is_half = device.type == "cuda"

    @torch.inference_mode()
    def part(pixels: NDArray[np.uint8]) -> Tensor:
        images = _normalised(backbone, torch.from_numpy(pixels).to(device), size)
        with torch.autocast(device.type, torch.float16, enabled=is_half):
            features: Tensor = network(images.contiguous(memory_format=torch.channels_last))
        return features.float().cpu()

    def embed(pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        step = STEP
        while True:
            try:
                parts = [part(pixels[k : k + step]) for k in range(0, len(pixels), step)]
                return np.asarray(torch.cat(parts))
            except RuntimeError as error:
                if not runtime.is_out_of_memory(error) or step == 1:
                    raise
            step //= 2  # outside of except: the error's traceback would keep the tensors alive
            if device.type == "cuda":
                torch.cuda.empty_cache()

    return embed


def _by_openvino(backbone: Backbone, size: int) -> Embed | None:
    """None where OpenVINO is not installed or cannot run this network: PyTorch then does."""
    try:
        import openvino
        from openvino import AsyncInferQueue, Core
        from openvino.frontend import FrontEndManager
        from openvino.frontend.pytorch.ts_decoder import TorchScriptPythonDecoder
        from openvino.preprocess import PrePostProcessor, ResizeAlgorithm
    except ImportError:  # a platform without a wheel
        return None
    wanted = network_size(size)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of the tracer, about Python values in timm's code
            # not by convert_model, which reports its use over the network
            decoder = TorchScriptPythonDecoder(
                backbone.network.cpu(), example_input=torch.zeros(1, 3, wanted, wanted)
            )
            frontend = FrontEndManager().load_by_framework("pytorch")
            model = frontend.convert(frontend.load(decoder))
            model.reshape([-1, 3, wanted, wanted])
    except Exception:  # noqa: BLE001  a network that it cannot convert: any error of its front end
        return None
    steps = PrePostProcessor(model)
    steps.input().tensor().set_element_type(openvino.Type.u8).set_layout(openvino.Layout("NHWC"))
    steps.input().model().set_layout(openvino.Layout("NCHW"))
    change = steps.input().preprocess().convert_element_type(openvino.Type.f32)
    if wanted != size:
        steps.input().tensor().set_spatial_static_shape(size, size)
        change = change.resize(ResizeAlgorithm.RESIZE_BICUBIC_PILLOW)
    change.mean(list(backbone.mean)).scale(list(backbone.std))
    threads = torch.get_num_threads()
    compiled = Core().compile_model(
        steps.build(),
        "CPU",
        {
            "PERFORMANCE_HINT": "THROUGHPUT",
            "INFERENCE_NUM_THREADS": threads,
            "NUM_STREAMS": threads,
            "INFERENCE_PRECISION_HINT": "f32",
        },
    )
    queue = AsyncInferQueue(compiled, threads)

    def embed(pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        features = np.empty((len(pixels), backbone.width), np.float32)

        def done(request: Any, start: int) -> None:
            part = request.get_output_tensor().data
            features[start : start + len(part)] = part

        queue.set_callback(done)
        for start in range(0, len(pixels), REQUEST):
            queue.start_async({0: np.ascontiguousarray(pixels[start : start + REQUEST])}, start)
        queue.wait_all()
        return features

    return embed
