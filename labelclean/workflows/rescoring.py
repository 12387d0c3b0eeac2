"""ask_model: what a model that train wrote says of every row, in place of a training."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from labelclean.config import LITE0_DEPTHS, FilterConfig
from labelclean.data.batches import Batch
from labelclean.errors import SourceError, printable
from labelclean.learning import runtime
from labelclean.learning.inference import AT_ONCE
from labelclean.learning.model_folder import TrainedModel
from labelclean.learning.models import Classifier
from labelclean.learning.prediction_columns import predict
from labelclean.progress import Reporter, image_counter
from labelclean.workflows.learning import EMBEDDINGS, Learned, open_embeddings
from labelclean.workflows.preparing import Samples
from labelclean.workflows.resuming import in_run_dir


def ask_model(
    samples: Samples,
    model: TrainedModel,
    config: FilterConfig,
    device: torch.device,
    reporter: Reporter,
) -> Learned:
    """Predicts every row with the model, whose image size the samples have.

    Raises SourceError if it does not know a class of the labels, RunError on a full disk.
    """
    table = samples.table
    network = with_classes(model, table.class_names).to(device).eval()
    labels = torch.from_numpy(table.labels).to(device)

    def batches() -> Iterator[Batch]:
        for start in range(0, len(samples.rows), AT_ONCE):
            rows = samples.rows[start : start + AT_ONCE]
            pixels = torch.from_numpy(samples.pixels.rows(rows)).to(device)
            index = torch.from_numpy(rows).to(device)
            yield Batch(
                images=model.transform.normalised(pixels), labels=labels[index], index=index
            )

    train = replace(
        config.train,
        arch=model.config.architecture,
        flip=config.train.flip and model.config.flip,
    )
    precision = config.runtime.precision
    if precision == "auto" and model.config.architecture == LITE0_DEPTHS:
        precision = "float32"  # its earlier layers hardly differ from image to image
    dtype = runtime.choose_precision(precision, device)
    path = in_run_dir(config.runtime, EMBEDDINGS)
    with (
        reporter.stage("predicting") as advance,
        open_embeddings(len(table), path) as embeddings,
    ):
        predictions = predict(
            network,
            batches(),
            labels,
            num_classes=table.num_classes,
            dtype=dtype,
            flip=train.flip,
            seed=train.seed,
            embeddings=embeddings,
            on_rows=image_counter(advance, len(samples.rows)),
        )
    return Learned(
        predictions=predictions,
        as_given=predictions,
        embeddings=embeddings,
        history=(),
        config=replace(config, train=train),
        device=runtime.device_name(device),
        dtype=str(dtype).removeprefix("torch."),
        weights=None,
    )


def with_classes(model: TrainedModel, class_names: tuple[str, ...]) -> nn.Module:
    """The model's network with outputs (b, c) in the order of class_names; others are left out.

    Raises SourceError as check_classes does.
    """
    check_classes(model, class_names)
    places: NDArray[np.int64] = np.array([model.class_names.index(name) for name in class_names])
    network = copy.deepcopy(model.network)
    if not isinstance(network, Classifier):
        raise TypeError(f"a model folder holds a Classifier, not a {type(network).__name__}")
    head = nn.Linear(network.head.in_features, len(places))
    with torch.no_grad():
        head.weight.copy_(network.head.weight[places])
        head.bias.copy_(network.head.bias[places])
    network.head = head
    return network


def check_classes(model: TrainedModel, class_names: tuple[str, ...]) -> None:
    """Raises SourceError if the model does not know one of them."""
    unknown = [name for name in class_names if name not in model.class_names]
    if unknown:
        more = f" and {len(unknown) - 1:,} more" if len(unknown) > 1 else ""
        raise SourceError(
            f"--from-model: the model does not know the class '{printable(unknown[0])}'{more}; "
            "train it on a report of these labels, or leave --from-model out"
        )
