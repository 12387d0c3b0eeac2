"""Rows that were not judged: the page says why, and how many."""

from __future__ import annotations

import pytest
from review_data import TOKEN, open_review, report_of, row, write_images

from labelclean.review.pages import ReviewRows
from labelclean.review.summary_data import summarise

HTML = "is HTML, saved under an image's name <b>"


@pytest.fixture
def report(tmp_path):
    write_images(tmp_path / "images", ["a.png", "b.png"])
    judged = [(*row(name), "", "") for name in ("a.png", "b.png")]
    broken = [
        (*row(f"{k}.jpg", "cat", "cat", None, status=status), "", reason)
        for k, (status, reason) in enumerate(
            [("unreadable", HTML), ("unreadable", HTML), ("missing", "no such file")]
        )
    ]
    return report_of([*judged, *broken], tmp_path / "images")


def test_the_summary_counts_them_by_reason_and_names_each(report):
    found = summarise(ReviewRows(report))
    assert found.reasons == ((HTML, 2), ("no such file", 1))
    assert [kind.names for kind in found.files] == [
        (f"0.jpg: {HTML}", f"1.jpg: {HTML}"),
        ("2.jpg: no such file",),
    ]


def test_the_page_shows_it_escaped_and_each_row_says_its_own(report, tmp_path):
    path = tmp_path / "report.csv"
    report.write(path)
    opened = open_review(path)
    page = opened.client.get(f"/?token={TOKEN}").text
    assert "Not judged" in page and "saved under an image&#39;s name &lt;b&gt;" in page
    cells = {
        cells["image"]: cells["reason"] for cells in opened.client.get("/api/rows").json()["rows"]
    }
    assert cells["0.jpg"] == HTML and cells["a.png"] == ""
    opened.session.close()
