"""The figures of a classifier, each against a count or a closed form."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from labelclean.report.classification import Share, compare, figures_text, measure
from labelclean.report.confusion_plot import confusion_png

NAMES = ("cat", "dog", "eel")


def _logits(predicted: list[int], size: float = 2.0) -> np.ndarray:
    return (size * np.eye(3)[predicted]).astype(np.float32)


def test_accuracy_and_confusion_are_counts():
    truth, predicted = [0, 0, 0, 1, 1, 2], [0, 0, 1, 1, 2, 2]
    figures = measure(_logits(predicted), np.array(truth), NAMES, 1.0)
    assert figures.accuracy.value == 4 / 6
    assert figures.confusion.tolist() == [[2, 1, 0], [0, 1, 1], [0, 0, 1]]
    assert [each.value for each in figures.per_class] == [2 / 3, 1 / 2, 1.0]


def test_the_interval_is_wilsons():
    found = Share.of(8, 10)
    z, n, p = 1.959964, 10, 0.8
    middle = (p + z**2 / (2 * n)) / (1 + z**2 / n)
    half = z * np.sqrt(p * (1 - p) / n + z**2 / (4 * n**2)) / (1 + z**2 / n)
    assert (found.low, found.high) == pytest.approx((middle - half, middle + half), abs=1e-6)


def test_a_class_without_images_has_no_accuracy():
    figures = measure(_logits([0, 1]), np.array([0, 1]), NAMES, 1.0)
    assert np.isnan(figures.per_class[2].value) and figures.to_json()["per_class"]["eel"] == {
        "value": None,
        "interval": None,
        "images": 0,
    }
    assert "eel" not in figures_text(figures).split("Confusion")[0]


def test_the_calibration_is_that_of_the_largest_probability_at_the_temperature():
    # eight of ten right, every largest probability the same
    truth = np.array([0] * 8 + [1] * 2)
    logits = _logits([0] * 10)
    for temperature in (1.0, 2.0):
        p = np.exp(2 / temperature) / (np.exp(2 / temperature) + 2)
        figures = measure(logits, truth, NAMES, temperature)
        assert figures.calibration == pytest.approx(abs(p - 0.8), abs=1e-6)
    assert figures.raw_calibration == pytest.approx(abs(np.e**2 / (np.e**2 + 2) - 0.8), abs=1e-6)


def test_the_gain_is_counted_image_by_image():
    truth = np.zeros(200, dtype=np.int64)
    own, other = _logits([0] * 180 + [1] * 20), _logits([0] * 150 + [1] * 50)
    gain = compare(own, other, truth, "ce-noisy")
    assert gain.value == pytest.approx(0.15)
    spread = np.std([0] * 150 + [1] * 30 + [0] * 20, ddof=1) / np.sqrt(200)
    assert gain.low == pytest.approx(0.15 - 1.97 * spread, abs=1e-3)
    assert gain.high == pytest.approx(0.15 + 1.97 * spread, abs=1e-3)
    same = compare(own, own, truth, "ce-noisy")
    assert (same.low, same.value, same.high) == (0, 0, 0)


def test_names_cannot_move_the_cursor_or_become_markup():
    names = ("\x1b[2J", "[red]x[/red]", "a\nb")
    text = figures_text(measure(_logits([0, 1, 2]), np.array([0, 1, 2]), names, 1.0))
    assert "\x1b" not in text and "[red]x[/red]" in text and "a\\nb" in text


@pytest.mark.parametrize("count", [3, 30, 90])
def test_the_picture_is_a_png_of_bounded_size(count: int):
    rng = np.random.default_rng(0)
    logits = rng.normal(size=(400, count)).astype(np.float32)
    names = tuple(f"class {k} $x_1$" for k in range(count))
    figures = measure(logits, rng.integers(0, count, 400), names, 1.0)
    with Image.open(io.BytesIO(confusion_png(figures))) as image:
        assert image.format == "PNG" and max(image.size) < 4000
