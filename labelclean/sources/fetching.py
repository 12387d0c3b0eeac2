"""Files behind URLs, by fsspec: which there are, and copies of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import fsspec

from labelclean.errors import SourceError
from labelclean.sources.wording import shown

_EXTRAS = {"s3": "s3", "s3a": "s3", "gs": "gcs", "gcs": "gcs", "http": "http", "https": "http"}


def matching(pattern: str) -> list[str]:
    """The URLs of the files that fit, sorted. Raises SourceError where they cannot be listed."""
    with _errors_of(pattern):
        files, path = fsspec.url_to_fs(pattern)
        return sorted(
            files.unstrip_protocol(each)
            for each, facts in files.glob(path, detail=True).items()
            if facts.get("type") == "file"
        )


def content(url: str, most: int) -> bytes:
    """The first so many bytes. Raises SourceError."""
    with _errors_of(url), fsspec.open(url, "rb") as file:
        data: bytes = file.read(most)
    return data


def version(url: str) -> str:
    """A text that changes with the file, where its server says so. Raises SourceError."""
    with _errors_of(url):
        files, path = fsspec.url_to_fs(url)
        return str(files.ukey(path))


def fetch(url: str, place: Path, on_bytes: Callable[[int], None]) -> None:
    """A copy of the file. Raises SourceError.

    on_bytes  hears how many have come so far
    """
    with _errors_of(url):
        files, path = fsspec.url_to_fs(url)
        files.get_file(path, str(place), callback=_Counter(on_bytes))


class _Counter(fsspec.callbacks.Callback):  # type: ignore[misc]
    """Bytes that were fetched so far."""

    def __init__(self, on_bytes: Callable[[int], None]) -> None:
        super().__init__()
        self._on_bytes = on_bytes

    def call(self, *args: Any, **kwargs: Any) -> None:
        self._on_bytes(int(self.value))


@contextmanager
def _errors_of(place: str) -> Iterator[None]:
    """One line for whatever a file system behind a URL raises: each has exceptions of its own."""
    try:
        yield
    except SourceError:
        raise
    except ImportError as error:
        protocol = place.split("://")[0].lower()
        extra = _EXTRAS.get(protocol)
        how = f"pip install 'labelclean[{extra}]'" if extra else str(error)
        raise SourceError(f"{shown(place)}: {protocol}:// is not installed: {how}") from None
    except FileNotFoundError:
        raise SourceError(f"{shown(place)}: no such file: correct the URL") from None
    except Exception as error:
        reason = (str(error).splitlines() or [""])[0] or type(error).__name__
        raise SourceError(f"{shown(place)}: cannot be fetched: {shown(reason)}") from None
