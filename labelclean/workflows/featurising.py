"""write_source_features: what a pretrained network sees of a source, or of one shard of it."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
import torch

from labelclean import disk, sources
from labelclean.config import RuntimeConfig, ViewConfig
from labelclean.data import cache
from labelclean.data.feature_shards import Origin, Shard, ShardRows, write_features
from labelclean.data.images import ImageSpec
from labelclean.data.samples import SampleTable, has_image
from labelclean.errors import printable
from labelclean.learning import distributed, runtime
from labelclean.learning.embedding import network_size
from labelclean.progress import Reporter
from labelclean.sources.ahead import Ahead
from labelclean.sources.inspection import understood
from labelclean.sources.remote import Advance, Parts, find_parts, is_several
from labelclean.workflows.flagging import look
from labelclean.workflows.preparing import Samples, choose_size_and_values, decode
from labelclean.workflows.resuming import claimed
from labelclean.workflows.seeing import check_backbone, see


@dataclass(frozen=True, kw_only=True)
class Featurised:
    """The files written: images, those of them that could not be read, features of each.

    path   the file; of several files their folder
    files  written just now
    kept   files that were there already
    """

    path: Path
    shard: Shard
    images: int
    unreadable: int
    width: int
    files: int = 1
    kept: int = 0

    def describe(self) -> str:
        of = f"shard {self.shard.number} of {self.shard.count}, " if self.shard.count > 1 else ""
        if self.files + self.kept != 1:
            of += f"{self.files:,} files ({self.kept:,} more were there), "
        each = f", {self.width:,} features each" if self.width else ""
        return f"{of}{self.images:,} images, {self.unreadable:,} unreadable{each}: {self.path}"


def write_source_features(
    source: str | Path,
    *,
    out: str | Path,
    shard: str | None = None,
    force: bool = False,
    options: sources.SourceOptions | None = None,
    view: ViewConfig | None = None,
    where: RuntimeConfig | None = None,
    reporter: Reporter | None = None,
) -> Featurised:
    """Writes the features of a source's images, or of a part of it, for filter.

    source  as filter_dataset takes it
    out     folder of the files; that of all parts
    shard   "3/64": the third of 64 parts; None: all, under torchrun the part of this process

    A part of one source is a file, with its share of the rows. Of several files (a pattern, a URL,
    an index) each gets a file of its own, and a part is its share of them: what is there already
    is left alone, so that another number of parts can go on. Then labels in a table of their own
    (options.labels) are not read; filter takes them.

    A run that was stopped goes on where it was: decoded images and features are in the cache until
    the file is whole.

    Raises SourceError, ConfigError or OutputError for what the user can mend.
    """
    rank, processes = distributed.share()
    part_of = Shard.parse(shard or f"{rank + 1}/{processes}")
    view, where = view or ViewConfig(), where or RuntimeConfig()
    check_backbone(view)
    device = runtime.choose_device(where.device)
    distributed.work_alone(device)
    writer = _Writer(
        out=Path(out),
        force=force,
        options=replace(options or sources.SourceOptions(), is_to_train=False),
        view=view,
        where=where,
        device=device,
        reporter=reporter or Reporter(),
    )
    parts = find_parts(str(source)) if is_several(str(source)) else None
    if parts is not None and len(parts) > 1:
        return writer.each_file(parts, part_of)
    return writer.share(source, part_of)


@dataclass(frozen=True, kw_only=True)
class _Writer:
    """Writes files of features, all in the same way."""

    out: Path
    force: bool
    options: sources.SourceOptions
    view: ViewConfig
    where: RuntimeConfig
    device: torch.device
    reporter: Reporter

    def share(self, source: str | Path, shard: Shard) -> Featurised:
        """The file with the share of one source's rows."""
        with self._claimed(shard) as path:
            with self.reporter.stage("reading") as advance:
                table = sources.read(source, self.options, advance)
            self._note(table)
            return self._write(path, table, shard, str(source), rows=len(table))

    def each_file(self, parts: Parts, share: Shard) -> Featurised:
        """A file for each file of the share of them."""
        shards = [
            Shard(number=number + 1, count=len(parts)) for number in share.rows(len(parts)).tolist()
        ]
        wanted = [shard for shard in shards if self._is_wanted(shard)]
        files = [parts.only(shard.number - 1) for shard in wanted]
        written = []
        with Ahead(files) as ahead:
            for at, (one, shard) in enumerate(zip(files, wanted, strict=True)):
                if self._is_wanted(shard):  # nobody else wrote it meanwhile
                    name = printable(one.parts[0].name)
                    self.reporter.note(f"file {at + 1:,} of {len(files):,}: {name}")
                    written.append(self._file(one, shard, partial(ahead.arrived, at)))
                one.forget()
        return Featurised(
            path=self.out,
            shard=share,
            images=sum(each.images for each in written),
            unreadable=sum(each.unreadable for each in written),
            width=written[0].width if written else 0,
            files=len(written),
            kept=len(shards) - len(written),
        )

    def _is_wanted(self, shard: Shard) -> bool:
        return self.force or not (self.out / shard.name).is_file()

    def _file(self, one: Parts, shard: Shard, arrived: Callable[[Advance], object]) -> Featurised:
        """The file of one of several, whose name its images' names begin with.

        arrived  returns when the file is here
        """
        read = sources.read if self.options.labels is None else sources.read_images
        with self._claimed(shard) as path:
            with self.reporter.stage("reading") as advance:
                arrived(advance)
                table = read(one, replace(self.options, labels=None), advance)
            if shard.number == 1:
                self._note(table)
            stem = one.parts[0].stem
            table = replace(table, paths=tuple(f"{stem}/{name}" for name in table.paths))
            return self._write(path, table, shard, one.source, rows=None)

    @contextmanager
    def _claimed(self, shard: Shard) -> Iterator[Path]:
        path = self.out / shard.name
        with _folder(path), claimed([path], None):
            disk.check(path, force=self.force)
            yield path

    def _note(self, table: SampleTable) -> None:
        for line in (*understood(table), *table.notes):
            self.reporter.note(line)

    def _write(
        self, path: Path, table: SampleTable, shard: Shard, source: str, rows: int | None
    ) -> Featurised:
        """rows: of the table, of which the shard has its share; None: it has all."""
        spec, note = choose_size_and_values(
            table, self.where, device_is_cpu=self.device.type == "cpu", is_pretrained=True
        )
        if note:
            self.reporter.note(note)
        share = np.arange(len(table)) if rows is None else shard.rows(rows)
        part = table.take(share)
        # each shard its own: they run side by side, and another's decoded images are of no use
        shards = (self.where.cache_dir or cache.default_cache_dir()) / "shards"
        kept = shards / _name(table.paths, shard)
        where = replace(self.where, cache_dir=kept)
        samples = _decoded(part, spec, where, self.reporter)
        seen = see(samples, self.view, where, self.device, self.reporter)
        if seen.backbone is None:
            raise ValueError("features are made by a network")
        looks = look(samples, where, self.reporter)
        root = None if table.root is None else str(table.root)
        origin = Origin(
            backbone=seen.backbone.name,
            digest=seen.backbone.digest,
            image=f"{spec} {network_size(spec.size)} {self.view.mirror}",
            rows=rows,
            shards=shard.count,
            source={**self.options.record(source), "image_root": root},
            last=seen.last_width,
            is_detailed=looks.is_detailed,
        )
        writing = self.reporter.stage("writing")
        with writing, disk.errors_of(path), disk.staged(path) as place:
            rows_of = _rows(table, samples, share.tolist())
            write_features(place, origin, rows_of, samples.pixels.digest, seen.features, looks)
        shutil.rmtree(kept, ignore_errors=True)
        return Featurised(
            path=path,
            shard=shard,
            images=len(part),
            unreadable=len(part) - len(samples.rows),
            width=seen.features.shape[1],
        )


def _decoded(
    part: SampleTable, spec: ImageSpec, where: RuntimeConfig, reporter: Reporter
) -> Samples:
    pixels = decode(part, spec, where, reporter, stage="decoding")
    rows = np.flatnonzero(has_image(pixels.status))
    return Samples(
        table=part,
        pixels=pixels,
        spec=spec,
        first=np.arange(len(part)),
        rows=rows,
        train_rows=rows,
    )


def _rows(table: SampleTable, samples: Samples, share: list[int]) -> ShardRows:
    names: tuple[str | None, ...] = (*table.class_names, None)  # label -1: none
    splits = () if table.understood is None else table.understood.splits
    return ShardRows(
        paths=list(samples.table.paths),
        labels=[names[label] for label in samples.table.labels.tolist()],
        splits=[splits[row] for row in share] if splits else [None] * len(share),
        status=samples.pixels.status.tolist(),
        reasons=samples.pixels.reason.tolist(),
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
