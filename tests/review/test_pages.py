"""What the review shows and keeps: order, filters, counters, undo, pictures."""

from __future__ import annotations

import io
import time

import numpy as np
import pytest
from PIL import Image
from review_data import TOKEN, open_review, report_of, row, simple_review, write_images

from labelclean.decisions.store import DecisionStore
from labelclean.review.pages import ReviewRows
from labelclean.review.session import ReviewSession
from labelclean.review.thumbnails import Thumbnails
from labelclean.workflows.reported import read_source


@pytest.fixture
def review(tmp_path):
    opened = open_review(simple_review(tmp_path))
    assert opened.client.get(f"/?token={TOKEN}").status_code == 200
    yield opened
    opened.session.close()


def test_rows_come_from_suspicious_to_trusted_a_page_at_a_time(review):
    assert review.rows(size=5) == [0, 1, 2, 3, 4]
    assert review.rows(size=5, offset=10) == [10, 11]
    assert review.rows(size=5, find=7) == [5, 6, 7, 8, 9]


def test_the_first_page_with_something_undecided_is_found(review):
    review.decide([0, 1, 2, 3, 4, 6], "accept")
    assert review.rows(size=5, find="undecided") == [5, 6, 7, 8, 9]


def test_filters_let_through_what_they_say(review):
    cat, dog, fox = 0, 1, 2
    assert review.rows(given=cat) == [0, 2, 4, 6, 8, 10]
    assert review.rows(given=fox, suggested=dog) == [1, 3, 5, 7, 9, 11]
    assert review.rows(label=cat, low=0.03, high=0.08) == [4, 6, 8]
    assert review.rows(search="1.PNG") == [1, 11]
    assert review.rows(verdict="right") == []
    review.decide([1], "keep")
    review.decide([2], "unsure")
    assert review.rows(decided="yes") == [1, 2]
    assert review.rows(decided="unsure") == [2]
    assert 1 not in review.rows(decided="no")


def test_the_counter_follows_the_decisions(review):
    chances = 1 - np.arange(12) / 100
    review.decide([0, 1], "accept")
    review.decide([2], "keep")
    review.decide([3], "unsure")
    answer = review.decide([4], "exclude")
    counter = answer["counter"]
    assert (counter["decided"], counter["judged"], counter["wrong"]) == (5, 4, 3)
    assert counter["remaining"] == pytest.approx(chances.sum() - chances[[0, 1, 2, 4]].sum())


def test_undo_takes_back_the_last_batch_and_what_was_before_holds_again(review):
    review.decide([0], "keep")
    review.decide([0, 1, 2], "accept")
    answer = review.post("/api/undo", {}).json()
    assert sorted(answer["changed"]) == [0, 1, 2]
    assert answer["decisions"]["0"]["action"] == "keep"
    assert answer["decisions"]["1"] is None
    assert review.post("/api/undo", {}).json()["changed"] == [0]
    assert review.post("/api/undo", {}).json()["changed"] == []


def test_undo_leaves_what_another_reviewer_decided(tmp_path):
    path = simple_review(tmp_path)
    for name, rows in (("ann", [0]), ("bob", [1])):
        session = open_review(path, name).session
        session.decide(rows, "accept")
        session.close()
    session = open_review(path, "ann").session
    assert session.undo() == [0]
    assert session.decision(1)["reviewer"] == "bob"
    session.close()


def test_pictures_are_encoded_anew_and_no_larger_than_asked(review):
    picture = review.client.get("/image/3")
    assert picture.headers["content-type"] == "image/png"
    image = Image.open(io.BytesIO(picture.content))
    assert image.size == (24, 24) and image.getpixel((0, 0)) == (120, 90, 160)


def test_a_large_photo_is_shrunk_whole_and_upright(tmp_path):
    report = simple_review(tmp_path, 2)
    photo = Image.new("RGB", (3000, 1500), "red")
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was turned: width and height change places
    photo.save(tmp_path / "images" / "00.png", exif=exif)
    opened = open_review(report)
    opened.client.get(f"/?token={TOKEN}")
    sizes = [
        Image.open(io.BytesIO(opened.client.get(path).content)).size
        for path in ("/image/0?side=224", "/image/0?side=1024", "/image/0?side=0")
    ]
    assert sizes == [(112, 224), (512, 1024), (1500, 3000)]
    opened.session.close()


def test_an_unreadable_image_is_a_404_with_the_reason(tmp_path):
    report = simple_review(tmp_path, 3)
    (tmp_path / "images" / "00.png").write_bytes(b"<script>alert(1)</script>")
    (tmp_path / "images" / "01.png").write_bytes(b"")
    opened = open_review(report)
    opened.client.get(f"/?token={TOKEN}")
    for path in ("/image/0", "/image/1"):
        answer = opened.client.get(path)
        assert answer.status_code == 404
        assert answer.headers["content-type"].startswith("text/plain")
    assert opened.client.get("/image/1").text == "the file is empty"
    opened.session.close()


def test_the_kept_thumbnails_stay_within_their_bound(tmp_path):
    names = [f"{k}.png" for k in range(40)]
    write_images(tmp_path / "images", names)
    report = report_of([row(name) for name in names], tmp_path / "images")
    images = read_source(report).images
    one = len(Thumbnails(images).get(0).data)
    thumbnails = Thumbnails(images, cache_bytes=5 * one + one // 2)
    for k in range(40):
        thumbnails.get(k)
    assert one <= thumbnails.kept_bytes <= 5 * one + one // 2


def test_copies_that_contradict_each_other_come_first_and_together(tmp_path):
    rows = ReviewRows(
        report_of(
            [
                row("a", "cat", "dog", 0.01),
                row("b", "cat", "cat", 0.9),
                row("c", "dog", "cat", 0.02, status="duplicate_of:b"),
                row("d", "cat", "cat", 0.5, status="duplicate_of:e"),
                row("e", "cat", "cat", 0.5),
                row("f", "cat", "", None, status="unreadable"),
            ],
            tmp_path,
        )
    )
    assert [rows.images[k] for k in rows.order] == ["c", "b", "a", "d", "e", "f"]
    assert [bool(x >= 0) for x in rows.group] == [False, True, True, False, False, False]
    assert rows.flags == ("copies_disagree",)
    assert [rows.cells(k)["flags"] for k in range(4)] == [[], [0], [0], []]


def test_flags_can_be_filtered(tmp_path):
    names = ["a.png", "b.png", "c.png"]
    write_images(tmp_path / "images", names)
    flags = ["no_class", "", "held_out no_class"]
    rows = [row(name, flags=flag) for name, flag in zip(names, flags, strict=True)]
    report_of(rows, tmp_path / "images").write(tmp_path / "report.csv")
    opened = open_review(tmp_path / "report.csv")
    opened.client.get(f"/?token={TOKEN}")
    assert opened.session.rows.facts()["flags"] == ["held_out", "no_class"]  # no copies: no flag
    assert (opened.rows(flag=1), opened.rows(flag=0)) == ([0, 2], [2])
    opened.session.close()


def test_a_decision_among_a_hundred_thousand_rows_takes_a_moment(tmp_path):
    count = 100_000
    rows = [row(f"{k}.png", "cat", "dog", k / count) for k in range(count)]
    report = report_of(rows, tmp_path)
    store = DecisionStore.open(tmp_path / "d.sqlite", report_digest="x")
    session = ReviewSession(ReviewRows(report), store, "ann")
    started = time.perf_counter()
    for k in range(20):
        session.decide([k], "accept")
        session.counter()
    assert (time.perf_counter() - started) / 20 < 0.25  # measured: 5 ms; the disk may be busy
    session.close()
