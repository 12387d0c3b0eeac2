"""Which image of a report a tool means by its own name for it."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Sequence
from urllib.parse import parse_qs, unquote, urlsplit

_ROW = re.compile(r"labelclean-row-(\d{8,12})")


def numbered(row: int) -> str:
    """A name for an image that any tool can hold, and that says which it is."""
    return f"labelclean-row-{row:08d}"


class Names:
    """Finds images by their name in a report, by a longer path that ends so, or by the end of it.

    Folders that both names have must agree: x/1.png is not y/1.png.

    images  (n,) names in the report
    """

    def __init__(self, images: Sequence[str]) -> None:
        self._images = images
        self._exact = set(images)
        self._whole: dict[str, str | None] = {}  # with and without its ending; None: several
        self._by_end: dict[str, str | None] = {}
        for image in images:
            for k, end in enumerate(_ends(image)):
                for key in {end, posixpath.splitext(end)[0]}:
                    for known in (self._whole, self._by_end)[k > 0 :]:
                        if known.setdefault(key, image) != image:
                            known[key] = None

    def find(self, name: str) -> str | None:
        """The image, None if there is none or the name may mean several."""
        for spelling in _spellings(name):
            if spelling in self._exact:
                return spelling
            ends = _ends(spelling)
            for end in ends:
                if end in self._exact:
                    return end
                if end in self._whole:
                    return self._whole[end]
            if ends and ends[0] in self._by_end:
                return self._by_end[ends[0]]
            stem = posixpath.splitext(posixpath.basename(spelling))[0]
            if (number := _ROW.fullmatch(stem)) and int(number[1]) < len(self._images):
                return self._images[int(number[1])]
        return None


def _spellings(name: str) -> list[str]:
    """As it is, and as the path within a URL, such as Label Studio's ?d=folder/image.png."""
    spellings = [name, name.replace("\\", "/")]
    try:
        url = urlsplit(name)
    except ValueError:
        return spellings
    if url.scheme or name.startswith("/data/"):
        spellings += [*parse_qs(url.query).get("d", []), unquote(url.path)]
    return list(dict.fromkeys(spellings))


def _ends(path: str) -> list[str]:
    """The path, then without its first folder, and so on: a/b/c, b/c, c."""
    parts = [part for part in path.split("/") if part not in ("", ".")]
    return ["/".join(parts[k:]) for k in range(len(parts))]
