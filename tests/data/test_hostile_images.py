"""Files that are no photos, or far too large ones, cost a row and neither time nor memory."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from labelclean import opening
from labelclean.data import images
from labelclean.data.images import ImageSpec, UnreadableImage, decode, decode_block
from labelclean.data.quiet import quiet
from labelclean.data.workers import Worker
from labelclean.opening import read_regular

SPEC = ImageSpec(size=32, resize=36)


def encoded(image: Image.Image, kind: str, **options) -> bytes:
    out = io.BytesIO()
    image.save(out, kind, **options)
    return out.getvalue()


def test_postscript_starts_no_program_whatever_its_name(monkeypatch):
    def started(*args, **_):
        raise AssertionError(f"started {args}")

    monkeypatch.setattr(subprocess, "Popen", started)
    monkeypatch.setattr(os, "system", started)
    eps = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\n{} loop\n%%EOF\n"
    with pytest.raises(UnreadableImage, match="not in an image format that photos have"):
        decode(eps, SPEC)


def test_every_format_that_is_opened_is_read_by_pillow_itself():
    helpers = {"EPS", "WMF", "FPX", "MIC", "GRIB", "BUFR", "HDF5", "MPEG"}
    assert not helpers & set(images.FORMATS)


@pytest.mark.parametrize("kind", ["fifo", "device", "folder", "socket"])
def test_only_regular_files_are_opened(kind: str, tmp_path: Path):
    path = tmp_path / "x.jpg"
    if kind == "fifo":
        os.mkfifo(path)
    elif kind == "device":
        path.symlink_to("/dev/zero")
    elif kind == "folder":
        path.mkdir()
    else:
        import socket

        with socket.socket(socket.AF_UNIX) as server:
            server.bind(str(path))
    with pytest.raises(OSError, match="not a regular file|Is a directory"):
        read_regular(path)


@pytest.mark.skipif(not os.path.exists("/proc/self/mem"), reason="no /proc")
def test_a_file_of_the_system_without_a_size_is_empty():
    assert read_regular("/proc/kmsg") == b""  # whose reading blocks


def test_a_sparse_file_beyond_the_limit_is_refused_before_it_is_read(tmp_path: Path):
    path = tmp_path / "x.jpg"
    with open(path, "wb") as file:
        file.truncate(60 << 30)
    with pytest.raises(OSError, match="60.0 GiB, at most 512 MiB are read"):
        read_regular(path, opening.IMAGE_BYTES)


MODES = ["RGB", "RGBA", "LA", "P", "L", "I;16", "CMYK", "I", "F"]


def gradient(mode: str, side: int) -> Image.Image:
    x, y = np.meshgrid(np.linspace(0, 1, side), np.linspace(0, 1, side))
    if mode == "I;16":
        return Image.fromarray((40_000 * x).astype(np.uint16))
    if mode in ("I", "F"):
        return Image.fromarray((90_000 * x - 30_000).astype(np.int32 if mode == "I" else "f4"))
    rgba = np.stack([255 * x, 255 * y, 255 * (1 - x), 255 * (x > y)], axis=2).astype(np.uint8)
    return Image.fromarray(rgba).convert("RGB" if mode == "P" else "RGBA").convert(mode)


@pytest.mark.parametrize("mode", MODES)
def test_a_large_image_in_strips_looks_as_it_does_in_one_piece(mode: str, monkeypatch):
    data = encoded(gradient(mode, 600), "TIFF")
    whole = decode(data, SPEC).astype(int)
    monkeypatch.setattr(images, "LARGE", 1000)
    monkeypatch.setattr(images, "STRIP", 20_000)
    strips = decode(data, SPEC).astype(int)
    assert np.abs(whole - strips).mean() < 1.5 and np.abs(whole - strips).max() < 24


def test_a_large_image_is_turned_upright(monkeypatch):
    exif = Image.Exif()
    exif[0x0112] = 6
    data = encoded(gradient("RGB", 600), "PNG", exif=exif)
    whole = decode(data, SPEC).astype(int)
    monkeypatch.setattr(images, "LARGE", 1000)
    assert np.abs(whole - decode(data, SPEC).astype(int)).mean() < 1.5


PEAK = """
import io, resource, sys
import numpy as np
from PIL import Image
from labelclean.data.images import ImageSpec, decode
data = open(sys.argv[1], "rb").read()
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
decode(data, ImageSpec(size=128, resize=146))
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024)
"""


@pytest.mark.parametrize(("mode", "most"), [("I;16", 450), ("RGBA", 700)])
def test_the_memory_for_the_largest_image_is_bounded(mode: str, most: int, tmp_path: Path):
    side = 9_400  # just within Pillow's limit
    if mode == "I;16":
        image = Image.fromarray(np.full((side, side), 300, np.uint16))
    else:
        image = Image.new("RGBA", (side, side), (1, 2, 3, 128))
    image.save(tmp_path / "x.png", compress_level=1)
    done = subprocess.run(
        [sys.executable, "-c", PEAK, tmp_path / "x.png"], capture_output=True, text=True, check=True
    )
    assert int(done.stdout) < most  # MiB


class _Stuck:
    """An image source whose second row never comes."""

    def read(self, row: int) -> bytes:
        if row == 1:
            while True:
                pass
        return encoded(Image.new("RGB", (8, 8)), "PNG")

    def fingerprint(self, row: int) -> str:
        return str(row)


def test_a_decoder_that_hangs_costs_its_row(monkeypatch):
    from labelclean.data import workers

    monkeypatch.setattr(workers, "SECONDS", 8.0)
    job = images.Job(images=_Stuck(), spec=SPEC, path=None)
    worker = Worker(job, in_process=True)
    try:
        blocks = worker.decode(0, np.ones(3, bool))
    finally:
        worker.stop()
    assert [block.outcome.tolist() for block in blocks] == [[images.READ], [images.DAMAGED], [0]]
    assert [reason for block in blocks for _, reason in block.reasons] == ["not decoded in 8 s"]


def test_what_libtiff_says_does_not_reach_the_terminal(capfd):
    data = bytearray(encoded(Image.new("RGB", (64, 64)), "TIFF", compression="tiff_lzw"))
    data[20:60] = b"\xff" * 40
    with quiet():
        with pytest.raises(UnreadableImage):
            decode(bytes(data), SPEC)
        print("ours", file=sys.stderr)
    assert capfd.readouterr().err == "ours\n"


def test_rows_of_devices_are_rows_without_access(tmp_path: Path):
    class Source:
        def read(self, row: int) -> bytes:
            return read_regular("/dev/zero", opening.IMAGE_BYTES)

        def fingerprint(self, row: int) -> str:
            return ""

    block = decode_block(images.Job(images=Source(), spec=SPEC, path=None), 0, np.ones(1, bool))
    assert block.outcome.tolist() == [images.NO_ACCESS]
    assert "not a regular file" in block.reasons[0][1]
