"""write_source_features: what a pretrained network sees of a source, or of one shard of it."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from labelclean import disk, sources
from labelclean.config import RuntimeConfig, ViewConfig
from labelclean.data import cache
from labelclean.data.feature_shards import Origin, Shard, write_features
from labelclean.data.samples import MISSING, UNREADABLE
from labelclean.learning import runtime
from labelclean.learning.embedding import network_size
from labelclean.progress import Reporter
from labelclean.sources.inspection import understood
from labelclean.workflows.preparing import Samples, choose_size_and_values, decode
from labelclean.workflows.resuming import claimed
from labelclean.workflows.seeing import check_backbone, see


@dataclass(frozen=True, kw_only=True)
class Featurised:
    """The file of a shard: images in it, those of them that could not be read, and their status."""

    path: Path
    images: int
    unreadable: int
    shard: Shard
    width: int

    def describe(self) -> str:
        of = f"shard {self.shard.number} of {self.shard.count}, " if self.shard.count > 1 else ""
        return (
            f"{of}{self.images:,} images, {self.unreadable:,} unreadable, {self.width:,} features "
            f"each: {self.path}"
        )


def write_source_features(
    source: str | Path,
    *,
    out: str | Path,
    shard: str = "1/1",
    force: bool = False,
    options: sources.SourceOptions | None = None,
    view: ViewConfig | None = None,
    where: RuntimeConfig | None = None,
    reporter: Reporter | None = None,
) -> Featurised:
    """Writes the features of a source's images, or of a shard of its rows, for filter --features.

    source  as filter_dataset takes it
    out     folder of the files, one a shard; the folders of several shards may be the same
    shard   "3/64": the third of 64 parts; Kth of N

    A run that was stopped goes on where it was: decoded images and features are in the cache until
    the file is whole.

    Raises SourceError, ConfigError or OutputError for what the user can mend.
    """
    part_of = Shard.parse(shard)
    view, where = view or ViewConfig(), where or RuntimeConfig()
    reporter = reporter or Reporter()
    path = Path(out) / part_of.name
    device = runtime.choose_device(where.device)
    check_backbone(view)
    with _folder(path), claimed([path], None):
        disk.check(path, force=force)
        with reporter.stage("reading"):
            options = replace(options or sources.SourceOptions(), is_to_train=False)
            table = sources.read(source, options)
        for line in (*understood(table), *table.notes):
            reporter.note(line)
        spec, note = choose_size_and_values(
            table, where, device_is_cpu=device.type == "cpu", is_pretrained=True
        )
        if note:
            reporter.note(note)
        part = table.take(part_of.rows(len(table)))
        # each shard its own: they run side by side, and another's decoded images are of no use
        shards = (where.cache_dir or cache.default_cache_dir()) / "shards"
        kept = shards / _name(table.paths, part_of)
        where = replace(where, cache_dir=kept)
        pixels = decode(part, spec, where, reporter, stage="decoding")
        status = pixels.status.astype(str)
        rows = np.flatnonzero(~np.isin(status, (MISSING, UNREADABLE)))
        samples = Samples(
            table=part,
            pixels=pixels,
            spec=spec,
            first=np.arange(len(part)),
            rows=rows,
            train_rows=rows,
        )
        seen = see(samples, view, where, device, reporter)
        if seen.backbone is None:
            raise ValueError("features are made by a network")
        image = f"{spec} {network_size(spec.size)} {view.mirror}"
        origin = Origin(
            backbone=seen.backbone.name,
            digest=seen.backbone.digest,
            image=image,
            rows=len(table),
            shards=part_of.count,
        )
        with reporter.stage("writing"), disk.errors_of(path), disk.staged(path) as place:
            reasons = pixels.reason.astype(str).tolist()
            write_features(place, origin, list(part.paths), status.tolist(), reasons, seen.features)
        shutil.rmtree(kept, ignore_errors=True)
    return Featurised(
        path=path,
        images=len(part),
        unreadable=len(part) - len(rows),
        shard=part_of,
        width=seen.features.shape[1],
    )


@contextmanager
def _folder(path: Path) -> Iterator[None]:
    """The folder of the file, made if need be; gone again if nothing came into it."""
    with disk.errors_of(path):
        path.parent.mkdir(parents=True, exist_ok=True)
    try:
        yield
    except BaseException:
        with suppress(OSError):  # something is in it
            path.parent.rmdir()
        raise


def _name(paths: tuple[str, ...], shard: Shard) -> str:
    """A name of the folder for what a shard of these images needs until it is written."""
    digest = hashlib.blake2b("\0".join(paths).encode("utf-8", "surrogateescape"), digest_size=8)
    return f"{digest.hexdigest()}-{shard.number}-of-{shard.count}"
