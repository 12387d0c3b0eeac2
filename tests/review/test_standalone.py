"""The review as one file: it needs nothing else, and its CSV is one of decisions."""

from __future__ import annotations

import csv
import html
import io
import os
import re
import sys

import numpy as np
import pytest
from review_data import report_of, row, simple_review, write_images
from typer.testing import CliRunner

from labelclean.cli import app
from labelclean.decisions.store import read_decisions
from labelclean.review.standalone import side_for

HOSTILE = [
    "<!--<script>.png",
    'quo"te.png',
    "new\nline.png",
    "=cmd().png",
    "'tis.png",
    "\u202egnp.png",
    os.fsdecode(b"caf\xe9.png"),
]
LABELS = ("</script><script>alert(2)</script>", '=1+1"', "שלום, a\nb")
needs_linux = pytest.mark.skipif(
    sys.platform != "linux", reason="such names need a file system of Linux"
)


def write_page(report, out, *options):
    done = CliRunner().invoke(app, ["review", str(report), "--html", str(out), "--quiet", *options])
    assert done.exit_code == 0, done.stderr
    return done.stdout


@pytest.fixture
def hostile_page(tmp_path):
    write_images(tmp_path / "images", HOSTILE)
    rows = [row(name, LABELS[0], LABELS[1], k / 50) for k, name in enumerate(HOSTILE)]
    report_of(rows, tmp_path / "images", class_names=LABELS).write(tmp_path / "report.csv")
    write_page(tmp_path / "report.csv", tmp_path / "page.html")
    return tmp_path / "page.html"


def download(page, target):
    with page.expect_download() as waiting:
        page.click("#download")
    waiting.value.save_as(target)
    return read_decisions(target)


def wait_for_decided(page, text):
    shown = "document.querySelector('#count-decided').textContent"
    page.wait_for_function(f"text => {shown} === text", arg=text)


def open_file(page, path):
    page.goto(path.as_uri())
    page.keyboard.press("r")
    page.wait_for_selector(".thumb.in-focus")


def test_the_page_says_how_many_images_it_holds_and_replaces_nothing(tmp_path):
    report = simple_review(tmp_path)
    out = tmp_path / "page.html"
    said = write_page(report, out, "--top", "5")
    assert said.startswith(f"5 images in {out} (")
    again = CliRunner().invoke(app, ["review", str(report), "--html", str(out)])
    assert again.exit_code == 2 and "already exists" in again.stderr
    write_page(report, out, "--force")
    wrong = CliRunner().invoke(app, ["review", str(report), "--html", "x.html", "--top", "0"])
    assert wrong.exit_code == 2 and "--top is 0, must be 1 to 5000" in wrong.stderr


def test_the_page_names_no_other_file_or_address(tmp_path):
    report = simple_review(tmp_path)
    write_page(report, tmp_path / "page.html")
    text = (tmp_path / "page.html").read_text()
    assert re.findall(r"""(?:src|href)\s*=\s*["'](?!data:)[^"']*""", text) == []
    assert set(re.findall(r"https?://[^\s\"'<>]+", text)) <= {"http://www.w3.org/2000/svg"}
    assert re.findall(r"^(?:import|export)\b.*", text, re.MULTILINE) == []
    assert "default-src 'none'" in html.unescape(text) and "unsafe" not in text


def test_the_page_tells_no_place_of_the_machine_that_made_it(tmp_path):
    report = simple_review(tmp_path)
    write_page(report, tmp_path / "page.html")
    text = (tmp_path / "page.html").read_text()
    assert "…/images" in text
    assert str(tmp_path) not in text


@needs_linux
def test_decisions_are_kept_by_the_browser_and_downloaded(page, hostile_page, tmp_path):
    open_file(page, hostile_page)
    page.keyboard.press("?")
    page.fill("#reviewer", '=eve "x"')
    page.keyboard.press("Escape")
    for key in "axug":
        page.keyboard.press(key)
    for _ in HOSTILE[4:]:
        page.keyboard.press("o")
        page.keyboard.press("/")
        page.keyboard.type("של")
        page.keyboard.press("Enter")
    everything = f"{len(HOSTILE)} / {len(HOSTILE)}"
    wait_for_decided(page, everything)
    page.wait_for_selector("#end[open]")
    page.keyboard.press("Escape")
    found = download(page, tmp_path / "decisions.csv")
    raw = csv.reader(io.StringIO((tmp_path / "decisions.csv").read_bytes().decode("latin-1"), ""))
    assert [cell for cells in raw for cell in cells if cell.startswith("=")] == []
    given, suggested, other = LABELS
    expected = [suggested, None, None, given, other, other, other]
    assert {name: decision.label for name, decision in found.items()} == dict(
        zip(HOSTILE, expected, strict=True)
    )
    assert {decision.before for decision in found.values()} == {given}
    assert {decision.reviewer for decision in found.values()} == {'=eve "x"'}
    page.reload()
    page.wait_for_selector(".thumb.in-focus")
    wait_for_decided(page, everything)
    assert download(page, tmp_path / "again.csv") == found


def test_undo_and_filters_work_without_a_server(page, tmp_path):
    report = simple_review(tmp_path)
    write_page(report, tmp_path / "page.html")
    open_file(page, tmp_path / "page.html")
    page.keyboard.press("e")
    page.keyboard.press("a")
    page.wait_for_function(
        "() => document.querySelector('#count-decided').textContent === '6 / 12'"
    )
    page.select_option("[name=decided]", "no")
    page.wait_for_function("() => document.querySelectorAll('.thumb').length === 6")
    page.focus(".thumb.in-focus")
    page.keyboard.press("Control+z")
    page.wait_for_function("() => document.querySelectorAll('.thumb').length === 12")
    assert download(page, tmp_path / "decisions.csv") == {}


def test_images_to_compare_with_are_in_the_file(page, tmp_path):
    names = [f"{k}.png" for k in range(8)]
    write_images(tmp_path / "images", names)
    rows = [row(names[0], "cat", "dog", 0.1)]
    rows += [row(name, "cat", "cat", 0.9) for name in names[1:4]]
    rows += [row(name, "dog", "dog", 0.9) for name in names[4:]]
    report_of(rows, tmp_path / "images").write(tmp_path / "report.csv")
    (tmp_path / "report.run").mkdir()
    features = np.random.default_rng(0).normal(size=(8, 4)).astype(np.float16)
    np.save(tmp_path / "report.run" / "embeddings.npy", features)
    write_page(tmp_path / "report.csv", tmp_path / "page.html", "--top", "1")
    open_file(page, tmp_path / "page.html")
    page.wait_for_selector(".strip-images img")
    headings = [heading.inner_text() for heading in page.query_selector_all(".strip h3")]
    assert headings == ["nearest cat", "nearest dog"]
    page.wait_for_function(
        "() => [...document.querySelectorAll('.strip img')].every((i) => i.naturalWidth === 24)"
    )


def test_every_number_of_images_agrees_with_what_the_file_holds(page, tmp_path):
    names = [f"{k}.png" for k in range(20)]
    write_images(tmp_path / "images", names)
    rows = [row(name, "cat", "dog", 0.01 * k) for k, name in enumerate(names[:4])]
    rows += [row(name, "fox", "fox", 0.5 + 0.01 * k) for k, name in enumerate(names[4:])]
    rows[-1] = row(names[-1], "dog", "cat", 0.45, issue=False)
    report_of(rows, tmp_path / "images").write(tmp_path / "report.csv")
    said = write_page(tmp_path / "report.csv", tmp_path / "page.html", "--top", "6")
    assert said.startswith("6 images in ")
    page.goto((tmp_path / "page.html").as_uri())
    page.wait_for_selector(".thumb", state="attached")
    assert "This file holds 6 of them, the most suspicious ones; 4 of these look wrong." in (
        page.inner_text(".headline")
    )
    for name, count in (
        ("Look at the 6 most suspicious images", 6),
        ("4 given cat, suggested dog: 4 in this file", 4),
        ("Score 0.0 to 0.05: 4 images, 4 look wrong: 4 in this file", 4),
        ("Score 0.5 to 0.55: 5 images, 0 look wrong: 1 in this file", 1),
    ):
        page.keyboard.press("s")
        page.get_by_role("button", name=name).dispatch_event("click")
        page.wait_for_function(
            "count => document.querySelectorAll('.thumb').length === count", arg=count
        )
        assert page.inner_text("#count-decided") == "0 / 6"
    page.keyboard.press("s")
    # What the file has no image of leads nowhere.
    assert page.get_by_role("button", name="fox", exact=True).is_disabled()
    assert page.get_by_role("button", name="Score 0.6").count() == 0


def test_the_images_take_as_much_room_as_a_mail_can_carry():
    assert [side_for(count) for count in (1, 200, 5000)] == [1024, 323, 256]


def test_on_paper_the_file_shows_the_figures_and_the_images(page, tmp_path):
    write_page(simple_review(tmp_path), tmp_path / "page.html")
    page.goto((tmp_path / "page.html").as_uri())
    page.wait_for_selector(".thumb", state="attached")
    page.emulate_media(media="print")
    assert page.locator("#summary .histogram").is_visible()
    assert page.locator(".thumb").first.is_visible()
    assert not page.locator(".panel, .filters, .tabs").first.is_visible()


@needs_linux
def test_no_name_ends_the_data_or_runs(page, hostile_page):
    open_file(page, hostile_page)
    assert page.inner_text("#given") == LABELS[0]
    assert len(page.query_selector_all("script")) == 3  # theme, data, review
    shown = [card.text_content().partition(" ")[0] for card in page.query_selector_all(".thumb")]
    assert shown[0] == "<!--<script>.png" and shown[2] == r"new\nline.png"
