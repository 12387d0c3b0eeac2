"""inject_noise: a source of images and labels with known wrong labels put into it."""

from __future__ import annotations

import os
import shlex
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from labelclean import __version__, disk, sources
from labelclean.data import images, noise, noisy_files
from labelclean.data.instance_noise import SIDE, instance_dependent
from labelclean.data.noise import Labels, Matrix
from labelclean.data.quiet import quiet
from labelclean.data.samples import NO_LABEL, OK, ArrayImages, SampleTable
from labelclean.errors import ConfigError, SourceError, printable
from labelclean.progress import Reporter
from labelclean.sources import noise_inputs
from labelclean.sources.formats.cifar import cifar_name
from labelclean.sources.inspection import understood

_FORMS = ("folder", "parquet")
_LISTED = 5  # confusions in the printed text


@dataclass(frozen=True, kw_only=True)
class NoiseSpec:
    """Which labels are to turn wrong.

    symm       share of each class, uniformly over the other classes
    asymm      share of each mapped class; the mapping is that of CIFAR or of a table of from,to
    instance   mean share, to the class that the image decides (Xia et al. 2020)
    mapping    table of from,to,rate, or of a transition matrix
    human      labels by an annotator, for each image
    human_col  their column, where the file is a table of several
    bernoulli  each label by its own coin instead of an exact count in each class
    """

    symm: float | None = None
    asymm: float | None = None
    instance: float | None = None
    mapping: Path | None = None
    human: Path | None = None
    human_col: str | None = None
    bernoulli: bool = False
    seed: int = 0

    def __post_init__(self) -> None:
        problems = []
        rates = {"--symm": self.symm, "--asymm": self.asymm, "--instance": self.instance}
        for flag, rate in rates.items():
            if rate is not None and not 0 <= rate <= 1:
                problems.append(f"{flag} is {rate:g}, must be from 0 to 1")
        ways = {**rates, "--mapping": self.mapping, "--human": self.human}
        given = [flag for flag, value in ways.items() if value is not None]
        if not given:
            problems.append(
                "no noise: give --symm 0.2, --asymm 0.4, --instance 0.2, --mapping FILE or "
                "--human FILE"
            )
        elif len(given) > 1 and given != ["--asymm", "--mapping"]:
            problems.append(f"{' and '.join(given)} contradict each other: give one of them")
        if self.human is None and self.human_col is not None:
            problems.append("--human-col is given without --human: add that or leave it out")
        if self.human is not None and self.bernoulli:
            problems.append("--bernoulli draws no labels with --human: leave it out")
        if self.seed < 0:
            problems.append(f"--seed is {self.seed}, must be 0 or more")
        if problems:
            raise ConfigError("; ".join(problems))

    @property
    def kind(self) -> str:
        kinds = ("symm", "instance", "human", "mapping")
        return next((kind for kind in kinds if getattr(self, kind) is not None), "asymm")

    @property
    def rate(self) -> float | None:
        """The one that was asked for; None where a file says it."""
        return next((r for r in (self.symm, self.asymm, self.instance) if r is not None), None)

    @property
    def is_exact(self) -> bool | None:
        """Whether the count in each class is fixed; None where nothing is drawn."""
        return None if self.human is not None else not self.bernoulli and self.instance is None


@dataclass(frozen=True, kw_only=True)
class InjectedNoise:
    """The labels and files that were written.

    counts     (c, c) images by true class (row) and given class (column), among those that could
               turn wrong
    kept       labelled images that could not: of a test split, missing, or for instance noise
               unreadable
    next_step  the commands to go on with: filter, evaluate
    """

    folder: Path
    source: str
    spec: NoiseSpec
    class_names: tuple[str, ...]
    counts: NDArray[np.int64]
    kept: int
    next_step: tuple[str, str]

    @property
    def images(self) -> int:
        return int(self.counts.sum())

    @property
    def wrong(self) -> int:
        return self.images - int(np.trace(self.counts))

    @property
    def rate(self) -> float:
        return self.wrong / self.images

    @property
    def transition(self) -> Matrix:
        """(c, c) share of each true class by given class; a class without images keeps its own."""
        sizes = self.counts.sum(axis=1, keepdims=True)
        shares: Matrix = np.where(sizes > 0, self.counts / np.maximum(sizes, 1), np.eye(len(sizes)))
        return shares

    def facts(self) -> dict[str, object]:
        """The content of noise.json."""
        spec = self.spec
        return {
            "kind": spec.kind,
            "rate": spec.rate,
            "realised_rate": round(self.rate, 6),
            "exact": spec.is_exact,
            "seed": None if spec.human is not None else spec.seed,
            "mapping": None if spec.mapping is None else spec.mapping.as_posix(),
            "human": None if spec.human is None else spec.human.as_posix(),
            "human_col": spec.human_col,
            "images": self.images,
            "wrong": self.wrong,
            "kept": self.kept,
            "class_names": list(self.class_names),
            "transition_matrix": self.transition.round(6).tolist(),
            "counts": self.counts.tolist(),
            "source": self.source,
            "version": __version__,
        }

    def to_json(self) -> dict[str, object]:
        """The facts, where they are, and how to go on."""
        return {**self.facts(), "out": str(self.folder), "next": list(self.next_step)}

    def describe(self) -> str:
        """The realised rate, the most frequent confusions, the commands to go on with."""
        of_each = " of each mapped class" if self.spec.kind in ("asymm", "mapping") else ""
        rate = self.spec.rate
        asked = self.spec.kind if rate is None else f"{self.spec.kind} {100 * rate:g} %{of_each}"
        lines = [
            f"{self.wrong:,} of {self.images:,} labels are wrong, {self.rate:.2%} ({asked}), in "
            f"{shlex.quote(str(self.folder))}"
        ]
        if self.kept:
            lines.append(f"kept as they are: {self.kept:,} labels of test or missing images")
        if self.wrong:
            confused = self.counts - np.diag(np.diag(self.counts))
            order = np.argsort(-confused.ravel(), kind="stable")[:_LISTED]
            pairs = [divmod(int(k), len(self.class_names)) for k in order]
            names = self.class_names
            shown = [
                f"{names[a]} → {names[b]} {confused[a, b]:,}" for a, b in pairs if confused[a, b]
            ]
            lines.append(f"most often: {', '.join(shown)}")
        lines.append(f"find them:      {self.next_step[0]}")
        lines.append(f"compare after:  {self.next_step[1]}")
        return "\n".join(map(printable, lines))


def inject_noise(
    source: str | Path,
    options: sources.SourceOptions | None = None,
    *,
    spec: NoiseSpec,
    out: Path | None = None,
    images_as: str | None = None,
    force: bool = False,
    reporter: Reporter | None = None,
) -> InjectedNoise:
    """labels.csv, truth.csv and noise.json under `out`; the labels of `source` count as true.

    Rows of a test or validation split keep their labels, of CIFAR always.

    out        None: the source's name and -noisy, in the current folder
    images_as  folder or parquet: CIFAR's images are written as well

    Raises SourceError or ConfigError for what the user can mend; then nothing is written.
    """
    reporter = reporter or Reporter()
    options = options or sources.SourceOptions()
    out = _default_out(source) if out is None else out
    if images_as is not None and images_as not in _FORMS:
        raise ConfigError(f"--images is {images_as}, must be {' or '.join(_FORMS)}")
    with disk.claim_folder(out):
        noisy_files.check_folder(out, force)  # before minutes of decoding, not after
        return _inject(source, options, spec, out, images_as, force, reporter)


def _inject(
    source: str | Path,
    options: sources.SourceOptions,
    spec: NoiseSpec,
    out: Path,
    images_as: str | None,
    force: bool,
    reporter: Reporter,
) -> InjectedNoise:
    with reporter.stage("reading") as advance:
        table, notes = true_labels(source, sources.read(source, options, advance))
    for note in (*understood(table), *notes):
        reporter.note(note)
    if images_as is not None and not isinstance(table.images, ArrayImages):
        raise ConfigError(
            f"--images is for cifar10 and cifar100, {source} has its images: leave it out"
        )
    rows, given = noisy_labels(source, table, spec, reporter)
    labels = table.labels.copy()
    labels[rows] = given
    size = table.num_classes
    pairs = np.bincount(table.labels[rows] * size + given, minlength=size * size)
    done = InjectedNoise(
        folder=out,
        source=str(source),
        spec=spec,
        class_names=table.class_names,
        counts=pairs.reshape(size, size).astype(np.int64),
        kept=int((table.labels != NO_LABEL).sum()) - len(rows),
        next_step=_next_step(source, table, options, out, images_as),
    )
    _write(done, table, labels, images_as, force, reporter)
    return done


def _default_out(source: str | Path) -> Path:
    path = Path(source)
    if path.is_dir():
        return Path(f"{path.resolve().name}-noisy")
    return Path(f"{(not path.exists() and cifar_name(str(source))) or path.stem}-noisy")


def true_labels(source: str | Path, table: SampleTable) -> tuple[SampleTable, tuple[str, ...]]:
    """The table with its true labels; CIFAR has all its classes, and its test rows held out."""
    if not isinstance(table.images, ArrayImages):
        return table, table.notes
    names = noise.CIFAR10_CLASSES
    if cifar_name(str(source)) == "cifar100":
        names = noise.CIFAR100_CLASSES
    truth = table.labels if table.truth is None else table.truth
    notes = table.notes
    if replaced := int((truth != table.labels).sum()):
        notes = (*notes, f"{replaced:,} given labels are not {source}'s own: its own are taken")
    place = np.array([names.index(n) if n in names else NO_LABEL for n in table.class_names])
    is_test = np.array([path.startswith("test/") for path in table.paths])
    restored = replace(
        table,
        labels=np.where(truth == NO_LABEL, NO_LABEL, place[truth]).astype(np.int64),
        class_names=names,
        held_out=table.held_out | is_test,
    )
    return restored, notes


def noisy_labels(
    source: str | Path, table: SampleTable, spec: NoiseSpec, reporter: Reporter
) -> tuple[NDArray[np.int64], Labels]:
    """The rows (m,) that may turn wrong, and their new labels (m,)."""
    may_turn = (table.status == OK) & (table.labels != NO_LABEL) & ~table.held_out
    rows = np.flatnonzero(may_turn)
    if not len(rows):
        raise ConfigError(
            f"{source}: all its rows are test rows, which keep their labels: give --split train"
        )
    truth = table.labels[rows]
    size = table.num_classes
    generator = np.random.Generator(np.random.PCG64(spec.seed))
    if spec.human is not None:
        given = noise_inputs.read_human(
            spec.human, spec.human_col, table.paths, rows, table.class_names
        )
        noise_inputs.check_agreement(spec.human, given, truth, size)
        return rows, given
    if spec.symm is not None:
        return rows, noise.symmetric(truth, size, spec.symm, generator, not spec.bernoulli)
    if spec.instance is not None:
        pixels, is_read = _pixels(table, rows, reporter)
        rows, truth = rows[is_read], truth[is_read]
        return rows, instance_dependent(pixels, truth, size, spec.instance, generator)
    if spec.mapping is not None:
        matrix = noise_inputs.read_mapping(spec.mapping, table.class_names, spec.asymm)
    else:
        matrix = _known_matrix(source, table, spec.asymm or 0.0)
    return rows, noise.by_matrix(truth, matrix, generator, not spec.bernoulli)


def _known_matrix(source: str | Path, table: SampleTable, rate: float) -> Matrix:
    """The paper's mapping for CIFAR, by name or as a folder with just those classes."""
    if table.class_names == noise.CIFAR10_CLASSES:
        return noise.cifar10_asymmetric(rate)
    if table.class_names == noise.CIFAR100_CLASSES:
        return noise.cifar100_asymmetric(rate)
    raise ConfigError(
        f"--asymm: which class of {source} is taken for which is not known: add --mapping FILE, a "
        "table of from,to"
    )


def _pixels(
    table: SampleTable, rows: NDArray[np.int64], reporter: Reporter
) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
    """Pixels (k, h, w, 3) of the rows that can be read, and which those are (m,)."""
    if isinstance(table.images, ArrayImages):
        return table.images.pixels[table.images.rows[rows]], np.ones(len(rows), bool)
    source, shape = table.images, images.ImageSpec(size=SIDE, resize=SIDE)

    def decoded(row: int) -> NDArray[np.uint8] | None:
        try:
            return images.decode(source.read(row), shape)
        except (OSError, images.UnreadableImage):
            return None

    parts: list[NDArray[np.uint8]] = []
    is_read = np.zeros(len(rows), bool)
    with (
        reporter.stage("decoding") as advance,
        quiet(),
        ThreadPoolExecutor(os.cpu_count()) as pool,
    ):
        for k, pixels in enumerate(pool.map(decoded, rows.tolist())):
            if pixels is not None:
                parts.append(pixels)
                is_read[k] = True
            advance(k + 1, len(rows), f"{k + 1:,} of {len(rows):,} images")
    if not parts:
        raise SourceError(f"none of the {len(rows):,} images can be read: --instance needs them")
    if len(parts) < len(rows):
        reporter.note(f"{len(rows) - len(parts):,} images cannot be read and keep their labels")
    return np.stack(parts), is_read


def _write(
    done: InjectedNoise,
    table: SampleTable,
    labels: Labels,
    images_as: str | None,
    force: bool,
    reporter: Reporter,
) -> None:
    pixels = table.images
    is_export = images_as is not None and isinstance(pixels, ArrayImages)
    names = [f"{path}.png" for path in table.paths] if is_export else list(table.paths)
    classes = (*table.class_names, "")  # of NO_LABEL, which is -1: no text
    columns = {"label": [classes[k] for k in labels.tolist()]}
    if table.held_out.any():  # else filter would take them for rows to train on
        columns["split"] = ["test" if held else "train" for held in table.held_out.tolist()]
    has_truth = (table.labels != NO_LABEL) & (table.status == OK)
    truth = [(names[k], classes[table.labels[k]]) for k in np.flatnonzero(has_truth).tolist()]
    files = {
        noisy_files.LABELS: noisy_files.csv_bytes(
            ("image", *columns), zip(names, *columns.values(), strict=True)
        ),
        noisy_files.TRUTH: noisy_files.csv_bytes(("image", "label"), truth),
        noisy_files.META: noisy_files.json_bytes(done.facts()),
    }
    with reporter.stage("writing") as advance:

        def write_images(folder: Path) -> None:
            if not isinstance(pixels, ArrayImages):
                raise ValueError(f"no pixels in {type(pixels).__name__}")
            if images_as == "folder":
                noisy_files.write_png(folder, names, pixels, advance)
            else:
                noisy_files.write_parquet(folder, names, columns, pixels, advance)

        noisy_files.write_folder(done.folder, files, write_images if is_export else None, force)


def _next_step(
    source: str | Path,
    table: SampleTable,
    options: sources.SourceOptions,
    out: Path,
    images_as: str | None,
) -> tuple[str, str]:
    labels = str(out / noisy_files.LABELS)
    words = ["labelclean", "filter"]
    if images_as == "folder":
        words += [str(out / noisy_files.IMAGES), labels]
    elif images_as == "parquet":
        words += [str(out / noisy_files.PARQUET)]
    elif table.root is not None and Path(source).is_file():
        words += [str(Path(source).parent), labels]
    else:
        words += [str(source), labels]
    if isinstance(table.images, ArrayImages) and images_as is None and options.root is not None:
        words += ["--root", str(options.root)]
    truth = ["--truth", str(out / noisy_files.TRUTH)]
    return shlex.join(words), shlex.join(["labelclean", "evaluate", "report.csv", *truth])
