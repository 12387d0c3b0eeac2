"""export_report: a report in the files of a labelling tool, with copies of the images if asked."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from labelclean import disk
from labelclean.data.image_names import is_image_name
from labelclean.data.images import UnreadableImage, header_size, open_image
from labelclean.data.quiet import quiet
from labelclean.data.samples import MISSING, UNREADABLE, ImageSource, SampleTable
from labelclean.errors import ConfigError, ReportError, printable
from labelclean.exports.folder import check_can_make, new_folder
from labelclean.exports.labelled_rows import COPIES, Export, Format
from labelclean.exports.matching import numbered
from labelclean.exports.registry import format_of
from labelclean.exports.report_rows import ReportRows
from labelclean.progress import Reporter, image_counter
from labelclean.report.report import Report
from labelclean.sources.folders import FileImages
from labelclean.workflows.reported import read_source

UNNAMEABLE = "names that the format cannot hold"
# Columns of the report that are used; each of the others takes 80 MB for ten million rows.
NEEDED = {
    *("image", "given_label", "suggested_label", "suggested_probability", "is_label_issue"),
    *("label_score", "issue_probability", "status", "flags"),
}
_PLAIN_PART = re.compile(r"[\w\-+=@~,()\[\]& ][\w\-+=@~,()\[\]& .]{0,199}")
# Windows opens no device names, nor any that end in a blank or a dot; the last are our own.
_RESERVED = re.compile(r"((con|prn|aux|nul|com\d|lpt\d)(\..*)?|labelclean-row-.*)", re.IGNORECASE)


@dataclass(frozen=True, kw_only=True)
class Exported:
    """The content of an export.

    left_out   images that it does not hold, by reason
    next_step  how to load it
    """

    tool: str
    folder: Path
    files: tuple[str, ...]
    images: int
    left_out: dict[str, int]
    next_step: str

    def to_json(self) -> dict[str, Any]:
        return {**vars(self), "folder": str(self.folder), "files": list(self.files)}


def export_report(
    report: Path,
    *,
    to: str,
    out: Path,
    images: Path | None = None,
    issues_only: bool = False,
    with_images: bool = False,
    url_prefix: str | None = None,
    force: bool = False,
    reporter: Reporter | None = None,
) -> Exported:
    """Writes the folder `out`, whole or not at all.

    to           a key of registry.FORMATS
    images       where the images lie now, None: where the report says
    with_images  copies the images into the folder
    url_prefix   address of the images' folder for tools that take URLs

    Images that are missing or unreadable, and those with names that the format cannot hold, are
    left out and counted. Raises ConfigError, ReportError or SourceError.
    """
    form = format_of("--to", to)
    _check_options(form, to, with_images=with_images, url_prefix=url_prefix)
    check_can_make(out, force)
    with disk.claim(out):
        return _export(
            report,
            form,
            to,
            out,
            images=images,
            issues_only=issues_only,
            with_images=with_images,
            url_prefix=url_prefix,
            force=force,
            reporter=reporter or Reporter(),
        )


def _export(
    report: Path,
    form: Format,
    to: str,
    out: Path,
    *,
    images: Path | None,
    issues_only: bool,
    with_images: bool,
    url_prefix: str | None,
    force: bool,
    reporter: Reporter,
) -> Exported:
    read = Report.read(report, reporter.note)
    for name in set(read.frame.columns) - NEEDED:
        del read.frame[name]
    table = None
    if not (form.needs_size or with_images or (form.needs_files and url_prefix is None)):
        if images is not None:
            raise ConfigError(f"--images: no image is read for this --to {to}; leave it out")
    else:
        table = read_source(read, images)
        is_archive = not isinstance(table.images, FileImages)
        if is_archive and form.needs_files and not with_images and url_prefix is None:
            raise ConfigError(
                f"--to {to}: the report's images are no files of their own; "
                "--with-images copies them into the export"
            )
    facts = {"labelclean": "export", "to": to, "report": printable(report.name)}
    with new_folder(out, facts, force) as stage:
        rows, left_out = _rows(
            read,
            table,
            form,
            issues_only=issues_only,
            copies=stage / COPIES if with_images else None,
            reporter=reporter,
        )
        if not rows:
            what = "row judged wrong" if issues_only else "row"
            raise ReportError(
                f"{printable(report)}: no {what} with an image that can be exported; "
                f"{_counted(left_out) or 'nothing was written'}"
            )
        names = dict.fromkeys(read.meta.class_names)
        names |= dict.fromkeys(rows.labels())
        export = Export(
            rows=rows,
            class_names=tuple(name for name in names if form.has_text(name)),
            images=_folder_of_images(out, table, with_images),
            has_copies=with_images,
            url_prefix=url_prefix,
        )
        with reporter.stage("writing") as advance:
            told = replace(rows, on_rows=image_counter(advance, form.passes * len(rows)))
            contents = form.files(replace(export, rows=told))
            for name, parts in contents.items():
                with (stage / name).open("wb", buffering=1 << 20) as file:
                    file.writelines(parts)
    return Exported(
        tool=form.title,
        folder=out,
        files=tuple(contents),
        images=len(rows),
        left_out=dict(left_out),
        next_step=form.next_step(export, out),
    )


def _check_options(form: Format, to: str, *, with_images: bool, url_prefix: str | None) -> None:
    if url_prefix is not None and not form.takes_urls:
        raise ConfigError(f"--url-prefix: {form.title} opens no URLs; leave it out for --to {to}")
    if url_prefix is not None and with_images:
        raise ConfigError("--url-prefix and --with-images: images are either here or there")
    if with_images and not form.needs_files:
        raise ConfigError(f"--with-images: --to {to} is a table without images; leave it out")


def _folder_of_images(out: Path, table: SampleTable | None, with_images: bool) -> Path | None:
    if with_images:
        return out.absolute() / COPIES
    return None if table is None or table.root is None else table.root.absolute()


def _rows(
    report: Report,
    table: SampleTable | None,
    form: Format,
    *,
    issues_only: bool,
    copies: Path | None,
    reporter: Reporter,
) -> tuple[ReportRows, Counter[str]]:
    frame = report.frame
    chosen = np.flatnonzero(frame["is_label_issue"]) if issues_only else np.arange(len(frame))
    columns = {
        name: frame[name].to_numpy()
        for name in ("image", "given_label", "suggested_label", "status")
    }
    files = table.images.files if table and isinstance(table.images, FileImages) else None
    is_kept = np.zeros(len(frame), dtype=bool)
    other_files: dict[int, str] = {}
    sizes = np.zeros((len(frame), 2), dtype=np.int32) if form.needs_size else None
    left_out: Counter[str] = Counter()
    with reporter.stage("exporting") as advance, quiet():
        for k, row in enumerate(chosen.tolist()):
            advance(k, len(chosen), f"{k:,} of {len(chosen):,} images")
            image, given = columns["image"][row], columns["given_label"][row]
            suggested = columns["suggested_label"][row]
            status = columns["status"][row]
            if table is not None and table.status[row] == MISSING:
                status = MISSING
            if status in (MISSING, UNREADABLE):
                left_out[status] += 1
                continue
            file = image if files is None else files[row]
            if not all(map(form.has_text, (image, file, given, suggested))):
                left_out[UNNAMEABLE] += 1
                continue
            if table is not None and (form.needs_size or copies is not None):
                try:
                    if copies is None:
                        size = _size(table.images, row)
                    else:
                        encoded = table.images.read(row)
                        with open_image(encoded) as opened:
                            size, kind = opened.size, (opened.format or "png").lower()
                except (OSError, UnreadableImage):  # gone or damaged since the report was made
                    left_out[UNREADABLE] += 1
                    continue
                if sizes is not None:
                    sizes[row] = size
                if copies is not None:
                    file = _copy(encoded, copies, row=row, file=file, kind=kind)
            is_kept[row] = True
            if file != image:
                other_files[row] = file
    kept = np.flatnonzero(is_kept)
    return ReportRows.of(frame, kept, files=other_files, sizes=sizes), left_out


def _size(images: ImageSource, row: int) -> tuple[int, int]:
    """Width and height in px; a file of its own is not read beyond its header."""
    if isinstance(images, FileImages):
        with images.open(row) as file:
            return header_size(file)
    with open_image(images.read(row)) as opened:
        return opened.size


def _copy(
    encoded: bytes | NDArray[np.uint8], copies: Path, *, row: int, file: str, kind: str
) -> str:
    """Writes the image as it is, or pixels as PNG. Returns its path below `copies`.

    Names that not every system and tool can hold are replaced by the number of the row.
    """
    is_plain = is_image_name(file) and all(
        _PLAIN_PART.fullmatch(part) and not _RESERVED.fullmatch(part) and part[-1] not in " ."
        for part in file.split("/")
    )
    place = file if is_plain else f"{numbered(row)}.{kind}"
    target = copies / place
    target.parent.mkdir(parents=True, exist_ok=True)
    if isinstance(encoded, bytes):
        target.write_bytes(encoded)
    else:
        open_image(encoded).save(target, format="PNG")
    return place


def _counted(left_out: Counter[str]) -> str:
    return ", ".join(f"{number:,} {reason}" for reason, number in left_out.items())


def export_text(done: Exported) -> str:
    """Two lines for people: what was written, and what to do with it."""
    out = sum(done.left_out.values())
    missing = f"; {out:,} left out: {_counted(Counter(done.left_out))}" if out else ""
    noun = "image" if done.images == 1 else "images"
    return (
        printable(f"{done.images:,} {noun} for {done.tool} in {done.folder}{missing}")
        + "\n"
        + printable(f"next: {done.next_step}")
    )
