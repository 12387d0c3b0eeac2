"""Coverage-guided fuzzing of all readers with atheris, where that is installed.

    PYTHONPATH=.:tests python tests/faults/fuzz_readers.py corpus -max_total_time=600

The first byte of an input chooses the reader, the rest is the file. A result or one line is right;
anything else ends with the input in a file crash-…, which belongs into tests/faults/corpus: the
test of that folder gives each of its files to the same readers.
"""

from __future__ import annotations

import contextlib
import shutil
import sys
import tempfile
import warnings
from collections.abc import Callable
from pathlib import Path

from PIL import Image
from report_data import report_of

from labelclean.apply.undoing import undo
from labelclean.config.source_options import SourceOptions
from labelclean.data.images import ImageSpec, UnreadableImage, decode
from labelclean.data.quiet import quiet
from labelclean.decisions.store import read_decisions
from labelclean.errors import LabelcleanError
from labelclean.exports import coco, cvat, label_studio
from labelclean.report.foreign import read_any
from labelclean.report.meta import ReportMeta
from labelclean.report.report import Report
from labelclean.sources import read_source

LABELS = ("csv", "tsv", "txt", "jsonl", "json", "csv.gz")
SPEC = ImageSpec(size=8, resize=8)


class World:
    """A folder with images and a report, into which each input is written."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "images").mkdir()
        for k in range(4):
            Image.new("RGB", (4, 4), (60 * k, 0, 0)).save(folder / "images" / f"{k}.png")
        row = ("cat", "dog", True, 0.1, 0.9, 0.8, "cat", 0.5, "ok", "", "")
        report_of([(f"{k}.png", *row) for k in range(3)]).write(folder / "r.csv")
        self.meta = (folder / "r.meta.json").read_bytes()
        (folder / "voc" / "JPEGImages").mkdir(parents=True)
        (folder / "voc" / "Annotations").mkdir()
        for name in ("a", "b"):
            shutil.copy(folder / "images" / "0.png", folder / "voc" / "JPEGImages" / f"{name}.png")
            text = f"<annotation><object><name>{name}</name></object></annotation>"
            (folder / "voc" / "Annotations" / f"{name}.xml").write_text(text)
        self.readers: dict[str, Callable[[bytes], object]] = {
            **{f"labels.{ending}": self._labels(ending) for ending in LABELS},
            "voc": self._voc,
            "report.csv": self._report(".csv"),
            "report.jsonl": self._report(".jsonl"),
            "meta": self._meta,
            "decisions.csv": self._decisions(".csv"),
            "decisions.sqlite": self._decisions(".sqlite"),
            "image": self._image,
            "coco": self._export(coco.read, "json"),
            "label studio": self._export(label_studio.read, "json"),
            "cvat": self._export(cvat.read, "xml"),
            "log": self._log,
        }

    def read(self, data: bytes) -> None:
        """Raises what is neither a result nor an error for the user."""
        if not data:
            return
        reader = list(self.readers.values())[data[0] % len(self.readers)]
        with contextlib.suppress(LabelcleanError), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            reader(data[1:])

    def _put(self, name: str, data: bytes) -> Path:
        path = self.folder / name
        path.write_bytes(data)
        return path

    def _labels(self, ending: str) -> Callable[[bytes], object]:
        return lambda data: read_source.read(
            self.folder / "images", SourceOptions(labels=self._put(f"labels.{ending}", data))
        )

    def _voc(self, data: bytes) -> None:
        self._put("voc/Annotations/b.xml", data)
        read_source.read(self.folder / "voc", SourceOptions())

    def _report(self, ending: str) -> Callable[[bytes], object]:
        def read(data: bytes) -> None:
            path = self._put(f"x{ending}", data)
            self._put("x.meta.json", self.meta)
            with contextlib.suppress(LabelcleanError):
                Report.read(path)
            read_any(path)

        return read

    def _meta(self, data: bytes) -> None:
        ReportMeta.from_json(data, "m")

    def _decisions(self, ending: str) -> Callable[[bytes], object]:
        return lambda data: read_decisions(self._put(f"d{ending}", data))

    def _image(self, data: bytes) -> None:
        with quiet(), contextlib.suppress(UnreadableImage):
            decode(data, SPEC)

    def _export(self, read: Callable[[Path], object], ending: str) -> Callable[[bytes], object]:
        return lambda data: read(self._put(f"e.{ending}", data))

    def _log(self, data: bytes) -> None:
        self._put("c.csv", b"x")
        self._put("c.csv.apply.json", data)
        undo(self.folder / "c.csv", lambda *_: None)


def main() -> None:
    import atheris

    with tempfile.TemporaryDirectory() as name:
        world = World(Path(name))
        atheris.instrument_all()
        atheris.Setup(sys.argv, world.read)
        atheris.Fuzz()


if __name__ == "__main__":
    main()
