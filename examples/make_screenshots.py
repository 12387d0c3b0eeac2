#!/usr/bin/env python3
"""Makes the pictures of the review that the README shows, by headless Chromium and Playwright.

    python examples/make_screenshots.py [REPORT] [FOLDER]

REPORT is one that filter wrote, report.csv by default; FOLDER is examples/screenshots. The review
works on a copy of the report in a temporary folder, so that no decision of yours is changed.
"""

from __future__ import annotations

import io
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from PIL import Image
from playwright.sync_api import Browser, Page, sync_playwright

WIDTH, HEIGHT = 1400, 900
SUMMARY_HEIGHT = 1240  # down to the matrix
PHONE = {"width": 390, "height": 844}
COLOURS = 256  # a palette: a third of the size, and no eye sees it
LARGEST = 250_000  # bytes of a picture
DECIDED = "aaaaagaaua"  # the keys pressed before the pictures: enough to learn from


@contextmanager
def review(report: Path) -> Iterator[str]:
    """The address of labelclean review on this report."""
    command = [sys.executable, "-m", "labelclean", "review", str(report), "--no-open", "--quiet"]
    process = subprocess.Popen([*command, "--reviewer", "ann"], stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        address = process.stdout.readline().strip()
        if not address:  # it has said why
            sys.exit(2)
        yield address
    finally:
        process.terminate()
        process.wait()


@contextmanager
def chromium() -> Iterator[Browser]:
    with sync_playwright() as driver:
        system = shutil.which("chromium") or shutil.which("google-chrome")
        browser = driver.chromium.launch(executable_path=system, args=["--no-sandbox"])
        yield browser
        browser.close()


def decide(page: Page) -> None:
    for done, key in enumerate(DECIDED, start=1):
        page.keyboard.press(key)
        page.wait_for_function(
            "done => document.querySelectorAll('.stamp:not([hidden])').length === done"
            " && !document.querySelector('.waiting')",
            arg=done,
        )


def save(page: Page, path: Path) -> None:
    page.wait_for_load_state("networkidle")
    page.wait_for_timeout(300)  # colours that fade
    picture = Image.open(io.BytesIO(page.screenshot())).convert("RGB")
    # This method keeps the colours of small places, and kmeans those of large ones.
    method, dither = Image.Quantize.MAXCOVERAGE, Image.Dither.NONE
    drawn = picture.quantize(COLOURS, method=method, kmeans=1, dither=dither)
    drawn.save(path, optimize=True)
    size = path.stat().st_size
    print(f"{size:9,} bytes  {path}")
    if size > LARGEST:
        sys.exit(f"{path}: more than {LARGEST:,} bytes; take fewer COLOURS")


def photograph(page: Page, address: str, folder: Path) -> None:
    page.set_viewport_size({"width": WIDTH, "height": SUMMARY_HEIGHT})
    page.goto(address)
    page.wait_for_selector(".thumb", state="attached")
    save(page, folder / "summary.png")
    page.set_viewport_size({"width": WIDTH, "height": HEIGHT})
    page.keyboard.press("r")
    page.wait_for_selector(".thumb.in-focus")
    decide(page)
    page.keyboard.press("l")
    learned = "() => document.querySelector('#learning-text').textContent.includes('moved')"
    page.wait_for_function(learned)
    page.wait_for_selector(".strip img")
    save(page, folder / "review.png")
    dialogs = {"zoom": "Enter", "bulk": "b", "keys": "?"}
    for name, key in dialogs.items():
        page.keyboard.press(key)
        page.wait_for_selector("dialog[open]")
        save(page, folder / f"{name}.png")
        page.keyboard.press("Escape")
        page.wait_for_selector("dialog[open]", state="detached")
    page.emulate_media(color_scheme="dark")
    save(page, folder / "review-dark.png")


def photograph_phone(browser: Browser, address: str, folder: Path) -> None:
    context = browser.new_context(
        viewport=PHONE, device_scale_factor=2, has_touch=True, is_mobile=True
    )
    page = context.new_page()
    page.goto(address)
    page.tap("[data-view=review]")
    page.wait_for_selector(".strip img")
    save(page, folder / "phone.png")
    context.close()


def main() -> None:
    given = [Path(argument) for argument in sys.argv[1:3]]
    report, folder = [*given, *(Path("report.csv"), Path("examples/screenshots"))[len(given) :]]
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as place:
        copy = Path(place, report.name)
        for path in report.parent.glob(f"{report.stem}.*"):
            if path.is_dir():
                shutil.copytree(path, copy.parent / path.name)
            elif not path.name.startswith(f"{report.stem}.decisions."):
                shutil.copyfile(path, copy.parent / path.name)
        with review(copy) as address, chromium() as browser:
            page = browser.new_page(color_scheme="light")
            photograph(page, address, folder)
            photograph_phone(browser, address, folder)


if __name__ == "__main__":
    main()
