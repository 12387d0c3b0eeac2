"""The features of a data set: by a pretrained network, from the store, or from the user's file."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from numpy.typing import NDArray

from labelclean.config import RuntimeConfig, ViewConfig
from labelclean.data.cache import default_cache_dir
from labelclean.errors import ConfigError, SourceError, printable
from labelclean.learning.backbones import Backbone, load_backbone
from labelclean.learning.embedding import embedder, network_size
from labelclean.learning.feature_store import FeatureStore, features_of
from labelclean.progress import Reporter, image_counter
from labelclean.workflows.preparing import Samples

PATH_COLUMNS = ("image", "path", "file_name", "filename")
FEATURE_COLUMNS = ("features", "embedding", "embeddings", "feature")


@dataclass(frozen=True, kw_only=True)
class Seen:
    """Features (n, f) of the rows, NaN where there is no image.

    backbone  None: they are the user's own
    """

    features: NDArray[np.float16]
    backbone: Backbone | None
    size: int


def see(
    samples: Samples,
    view: ViewConfig,
    where: RuntimeConfig,
    device: torch.device,
    reporter: Reporter,
) -> Seen:
    """Every image's features, computed where an earlier run has not left them in the cache.

    Raises ConfigError for a backbone that cannot be had, SourceError for a file of features that
    does not fit the images.
    """
    if view.features is not None:
        return Seen(features=read_features(view.features, samples), backbone=None, size=0)
    backbone = load_backbone(view.backbone, may_download=view.download)
    rows, size = samples.rows, samples.spec.size
    with reporter.stage("features") as advance:
        embed = None

        def compute(block: NDArray[np.int64]) -> NDArray[np.float32]:
            nonlocal embed
            if embed is None:  # nothing is prepared where all features are known
                embed = embedder(backbone, size, device, count=len(rows), mirror=view.mirror)
            return embed(samples.pixels.rows(block))

        on_rows = image_counter(advance, len(rows))
        digests = samples.pixels.digest
        identity = f"{backbone.digest} {samples.spec} {network_size(size)} {view.mirror}"
        try:
            store = FeatureStore(_folder(where), identity, backbone.width)
            features = features_of(store, digests, rows, backbone.width, compute, on_rows)
        except OSError as error:
            reason = error.strerror or error
            reporter.note(f"features are not kept for the next run: {reason}")
            features = features_of(None, digests, rows, backbone.width, compute, lambda _: None)
    return Seen(features=features, backbone=backbone, size=network_size(size))


def _folder(where: RuntimeConfig) -> Path:
    return (where.cache_dir or default_cache_dir()) / "features"


def read_features(path: Path, samples: Samples) -> NDArray[np.float16]:
    """Features (n, f) from the user's file, one row for each row of the source.

    path  .npy (n, f) in the order of the source's rows; or .parquet with a column of lists, matched
          by a column of paths if there is one

    Raises SourceError for another number of rows, other images, or what is no finite number.
    """
    place = printable(path)
    if not path.is_file():
        raise SourceError(f"--features {place}: no such file")
    table = samples.table
    if path.suffix == ".npy":
        values = _read_npy(path)
    elif path.suffix == ".parquet":
        values = _read_parquet(path, table.paths)
    else:
        raise SourceError(f"--features {place}: give a .npy or .parquet file")
    if values.ndim != 2 or values.shape[1] < 2:
        raise SourceError(f"--features {place}: is {values.shape}, must be (rows, features)")
    if len(values) != len(table):
        raise SourceError(
            f"--features {place}: has {len(values):,} rows, the source {len(table):,}; give one "
            "row for each image, in the same order"
        )
    labelled = samples.rows
    bad = labelled[~np.isfinite(values[labelled]).all(axis=1)]
    if len(bad):
        raise SourceError(
            f"--features {place}: {len(bad):,} rows hold what is no finite number, the first is "
            f"row {bad[0] + 1} ({printable(table.paths[bad[0]])})"
        )
    # half precision holds about 65,000: larger features are scaled, which heads do not notice
    largest = float(np.abs(values[labelled]).max(initial=1.0))
    scaled = values / (largest / 1_000) if largest > 1_000 else values
    return scaled.astype(np.float16)


def _read_npy(path: Path) -> NDArray[np.float64]:
    try:
        values = np.load(path, allow_pickle=False, mmap_mode="r")
    except (OSError, ValueError, EOFError) as error:
        raise SourceError(f"--features {printable(path)}: no array of numpy ({error})") from None
    if not np.issubdtype(values.dtype, np.number) or np.iscomplexobj(values):
        raise SourceError(f"--features {printable(path)}: holds {values.dtype}, not numbers")
    return np.asarray(values, dtype=np.float64)


def _read_parquet(path: Path, paths: tuple[str, ...]) -> NDArray[np.float64]:
    place = printable(path)
    try:
        table = pq.read_table(path)
        column = next((name for name in FEATURE_COLUMNS if name in table.column_names), None)
        if column is None:
            raise SourceError(
                f"--features {place}: has no column {', '.join(FEATURE_COLUMNS)}; it has "
                f"{', '.join(map(printable, table.column_names[:8]))}"
            )
        lists = table[column].combine_chunks()
        if not (pa.types.is_list(lists.type) or pa.types.is_fixed_size_list(lists.type)):
            raise SourceError(f"--features {place}: column {column} holds no lists of numbers")
        flat = lists.flatten().to_numpy(zero_copy_only=False).astype(np.float64)
    except (pa.ArrowException, OSError, ValueError) as error:
        raise SourceError(f"--features {place}: cannot be read ({error})") from None
    width = len(flat) // max(1, len(lists))
    lengths = {len(row) for row in lists.to_pylist() if row is not None}
    if lists.null_count or lengths != {width}:
        raise SourceError(
            f"--features {place}: rows of different lengths ({sorted(lengths)[:3]}); each image "
            "needs as many features"
        )
    values: NDArray[np.float64] = flat.reshape(len(lists), width)
    named = next((name for name in PATH_COLUMNS if name in table.column_names), None)
    if named is None:
        return values
    at = {str(name): k for k, name in enumerate(table[named].to_pylist())}
    missing = [name for name in paths if name not in at]
    if missing:
        raise SourceError(
            f"--features {place}: has no features of {len(missing):,} of the {len(paths):,} "
            f"images, the first is {printable(missing[0])}"
        )
    in_order: NDArray[np.float64] = values[[at[name] for name in paths]]
    return in_order


def check_backbone(view: ViewConfig) -> None:
    """Raises ConfigError for a backbone that cannot be had, before images are decoded."""
    if view.features is None:
        load_backbone(view.backbone, may_download=view.download)
    elif not view.features.is_file():
        raise ConfigError(f"--features {printable(view.features)}: no such file")
