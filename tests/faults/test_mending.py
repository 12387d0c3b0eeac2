"""Names that are no Unicode, or try to steer a terminal, are one line or harmless."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from forked import Zygote
from test_kills import INJECT


def test_a_label_that_is_no_unicode_is_refused_by_apply(zygote: Zygote, copied: Callable[[], Path]):
    folder = copied()
    (folder / "decisions.csv").write_bytes(b"image,action,label\n03.png,other,gr\xf4n\n")
    for out in ("clean.csv", "clean-folder"):
        words = ("apply", "report.csv", "--decisions", "decisions.csv", "--out", out)
        zygote.run(folder, *words).check_refused()


def test_class_names_with_escapes_do_not_reach_the_terminal(
    zygote: Zygote, copied: Callable[[], Path]
):
    folder = copied()
    labels = (folder / "labels.csv").read_text().replace(",red", ",\x1b[31mred")
    (folder / "labels.csv").write_text(labels)
    done = zygote.run(folder, *INJECT)
    assert done.code == 0, done.err
    assert "\x1b" not in done.out + done.err and "\\x1b[31mred" in done.out


def test_a_full_standard_output_and_few_descriptors_are_one_line(
    zygote: Zygote, copied: Callable[[], Path]
):
    folder = copied()
    for words in (("show", "report.csv"), ("predict", "model", "images", "--out", "-")):
        done = zygote.run(folder, *words, stdout="/dev/full")
        done.check_refused()
        assert "No space left on device" in done.err
    done = zygote.run(folder, "predict", "model", "images", "--out", "x.csv", files=12)
    assert done.code in (0, 2) and "Traceback" not in done.err, done.err
