"""Images in some of many files, each of which is opened when one of its images is wanted."""

from __future__ import annotations

import posixpath
import threading
from collections import OrderedDict
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from labelclean.config.source_options import SourceOptions
from labelclean.data.samples import ImageSource
from labelclean.errors import SourceError
from labelclean.sources.assemble import assemble_unlabelled
from labelclean.sources.formats import recognise
from labelclean.sources.protocol import Place
from labelclean.sources.remote import Parts

_OPEN = 8  # files at a time


@dataclass
class PartImages:
    """Images named STEM/NAME: NAME in the file of that stem. Picklable.

    names  (n,)
    """

    parts: Parts
    options: SourceOptions
    names: tuple[str, ...]
    _stems: dict[str, int] = field(default_factory=dict, repr=False)
    _opened: OrderedDict[int, tuple[ImageSource, dict[str, int]]] = field(
        default_factory=OrderedDict, repr=False
    )
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def __post_init__(self) -> None:
        self._stems = {part.stem: k for k, part in enumerate(self.parts.parts)}

    def is_there(self) -> NDArray[np.bool_]:
        """(n,) whether the image's file is one of these; what is in it is seen when it is read."""
        return np.array([self._part_of(name) is not None for name in self.names], dtype=bool)

    def read(self, row: int) -> bytes | NDArray[np.uint8]:
        """Raises OSError, also where the file cannot be fetched or read."""
        name = self.names[row]
        number = self._part_of(name)
        if number is None:
            raise FileNotFoundError(2, "no file of that name")
        with self._lock:
            try:
                images, rows = self._open(number)
            except SourceError as error:
                raise OSError(str(error)) from None
        inner = name[len(self.parts.parts[number].stem) + 1 :]
        if inner not in rows:
            raise FileNotFoundError(2, "no such image in the file")
        return images.read(rows[inner])

    def fingerprint(self, row: int) -> str:
        number = self._part_of(self.names[row])
        return "" if number is None else f"{self.parts.parts[number].place}|{self.names[row]}"

    def _part_of(self, name: str) -> int | None:
        stem = posixpath.dirname(name)
        while stem and stem not in self._stems:
            stem = posixpath.dirname(stem)
        return self._stems.get(stem)

    def _open(self, number: int) -> tuple[ImageSource, dict[str, int]]:
        if number not in self._opened:
            place = Place(self.parts.only(number), self.options)
            form, _ = recognise(place, labelled=False)
            table = assemble_unlabelled(form.read(place, labelled=False), self.options)
            rows = {name: row for row, name in enumerate(table.paths)}
            self._opened[number] = (table.images, rows)
            while len(self._opened) > _OPEN:
                self._opened.popitem(last=False)
        self._opened.move_to_end(number)
        return self._opened[number]

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_opened": OrderedDict(), "_lock": None}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._lock = threading.Lock()


def in_folder(parts: Parts, folder: Path) -> Parts:
    """The same files where they lie now."""
    moved = tuple(replace(part, place=str(folder / part.name)) for part in parts.parts)
    return replace(parts, parts=moved)
