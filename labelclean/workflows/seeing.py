"""The features of a data set: by a pretrained network, from the store, or from the user's file."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from labelclean.config import FilterConfig, RuntimeConfig, ViewConfig
from labelclean.data.cache import default_cache_dir
from labelclean.data.feature_shards import has_shards, last_width_of
from labelclean.errors import ConfigError, printable
from labelclean.learning import distributed
from labelclean.learning.backbones import Backbone, load_backbone
from labelclean.learning.embedding import embedder, network_size
from labelclean.learning.feature_files import read_features
from labelclean.learning.feature_store import FeatureStore, features_of
from labelclean.progress import Reporter, image_counter
from labelclean.workflows.preparing import Samples


@dataclass(frozen=True, kw_only=True)
class Seen:
    """Features (n, f) of the rows, NaN where there is no image.

    backbone    None: they are from files
    last_width  how many of the features, the first ones, are of the network's last layer; all of
                those that a user made
    """

    features: NDArray[np.float16]
    backbone: Backbone | None
    size: int
    last_width: int

    @property
    def of_last_layer(self) -> NDArray[np.float16]:
        """The features of the last layer alone (n, f)."""
        return self.features[:, : self.last_width]


def see(
    samples: Samples,
    view: ViewConfig,
    where: RuntimeConfig,
    device: torch.device,
    reporter: Reporter,
) -> Seen:
    """Every image's features, computed where an earlier run has not left them in the cache.

    Several processes compute them together; all others than the first get an empty array.

    Raises ConfigError for a backbone that cannot be had, SourceError for a file of features that
    does not fit the images.
    """
    if view.features is not None:
        paths, rows = samples.table.paths, samples.rows
        if not distributed.is_first():
            return Seen(features=np.empty((0, 0), np.float16), backbone=None, size=0, last_width=0)
        features = read_features(view.features, paths, rows, features_folder(where))
        last = last_width_of(view.features) or features.shape[1]
        return Seen(features=features, backbone=None, size=0, last_width=last)
    backbone = load_backbone(view.backbone, may_download=view.download)
    rows, size = samples.rows, samples.spec.size
    with reporter.stage("features") as advance:
        embed = None

        def compute_here(block: NDArray[np.int64]) -> NDArray[np.float32]:
            nonlocal embed
            if embed is None:  # nothing is prepared where all features are known
                embed = embedder(backbone, size, device, count=len(rows), mirror=view.mirror)
            if not len(block):
                return np.empty((0, backbone.width), np.float32)
            return embed(samples.pixels.rows(block))

        if not distributed.is_first():
            distributed.help_with(compute_here)
            return _seen(np.empty((0, backbone.width), np.float16), backbone, size)
        compute = distributed.divided(compute_here)
        on_rows = image_counter(advance, len(rows))
        digests = samples.pixels.digest
        identity = f"{backbone.digest} {samples.spec} {network_size(size)} {view.mirror}"
        try:
            store = FeatureStore(features_folder(where), identity, backbone.width)
            features = features_of(store, digests, rows, backbone.width, compute, on_rows)
        except OSError as error:
            reason = error.strerror or error
            reporter.note(f"features are not kept for the next run: {reason}")
            features = features_of(None, digests, rows, backbone.width, compute, lambda _: None)
        distributed.release_helpers()
    return _seen(features, backbone, size)


def _seen(features: NDArray[np.float16], backbone: Backbone, size: int) -> Seen:
    return Seen(
        features=features,
        backbone=backbone,
        size=network_size(size),
        last_width=backbone.last_width,
    )


def with_features_of(source: str | Path, config: FilterConfig) -> FilterConfig:
    """The config for a source that is the folder of labelclean features: these are what is seen.

    Raises ConfigError for views that need images.
    """
    if config.view.features is not None or config.from_model is not None:
        return config
    if not has_shards(Path(source)):
        return config
    return replace(config, view=replace(config.view, features=Path(source)))


def features_folder(where: RuntimeConfig) -> Path:
    """Where features are kept, and what is too large for memory."""
    return (where.cache_dir or default_cache_dir()) / "features"


def check_backbone(view: ViewConfig) -> None:
    """Raises ConfigError for a backbone that cannot be had, before images are decoded."""
    if view.features is None:
        load_backbone(view.backbone, may_download=view.download)
    elif not view.features.exists():
        raise ConfigError(f"--features {printable(view.features)}: no such file or folder")
