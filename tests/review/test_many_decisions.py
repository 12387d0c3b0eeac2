"""Decisions on many images, in a real browser: digits, pairs at a precision, the end of a list."""

from __future__ import annotations

import pytest
from review_data import (
    LABELS,
    decided,
    open_grid,
    report_of,
    row,
    served,
    simple_review,
    wait_for_stamps,
    write_images,
)


def review_of(folder, rows, **meta):
    """The path of a report with these rows and a picture for each."""
    write_images(folder / "images", [cells[0] for cells in rows])
    report_of(rows, folder / "images", **meta).write(folder / "report.csv")
    return folder / "report.csv"


def named(page) -> list[str]:
    return [each.inner_text() for each in page.query_selector_all(".panel .class-keys bdi")]


def test_digits_choose_the_classes_that_stand_on_the_buttons(page, tmp_path):
    report = simple_review(tmp_path, 4)  # given cat, fox, cat, fox; dog suggested
    with served(report) as (address, _):
        open_grid(page, address)
        assert named(page) == list(LABELS)
        for key in "3219":  # a digit on no button does nothing
            page.keyboard.press(key)
        wait_for_stamps(page, 3)
        page.get_by_role("button", name="Label it cat (1)").click()
        wait_for_stamps(page, 4)
    assert decided(report) == {
        "00.png": ("other", "fox"),
        "01.png": ("accept", "dog"),
        "02.png": ("keep", "cat"),
        "03.png": ("other", "cat"),
    }


def test_of_many_classes_the_likeliest_have_digits_and_the_others_are_typed(page, tmp_path):
    classes = tuple(f"class {k:02d}" for k in range(40))
    rows = [row(f"{k}.png", classes[20], classes[30], 0.1, second=classes[5]) for k in range(3)]
    rows += [row("3.png", classes[20], classes[11], 0.2, second=classes[5])]
    report = review_of(tmp_path, rows, class_names=classes)
    with served(report) as (address, _):
        open_grid(page, address)
        assert named(page)[:4] == [classes[30], classes[5], classes[20], classes[11]]
        assert len(named(page)) == 9
        page.keyboard.press("4")
        page.keyboard.press("o")
        page.keyboard.type("S 35")
        page.keyboard.press("Enter")
        wait_for_stamps(page, 2)
    chosen = [label for _, label in decided(report).values()]
    assert chosen == [classes[11], classes[35]]


def test_the_letters_of_the_chooser_reach_the_36th_class(page, tmp_path):
    classes = tuple(f"class {k:02d}" for k in range(36))
    rows = [row(f"{k}.png", classes[0], classes[1], 0.1, second=classes[2]) for k in range(3)]
    report = review_of(tmp_path, rows, class_names=classes)
    with served(report) as (address, _):
        open_grid(page, address)
        for key in "0az":  # the tenth, the eleventh, the last
            page.keyboard.press("o")
            page.keyboard.press(key)
        wait_for_stamps(page, 3)
    chosen = [label for _, label in decided(report).values()]
    assert chosen == [classes[9], classes[10], classes[35]]


@pytest.fixture
def pair_report(tmp_path):
    """Ten images of one pair, of which the first six reach 95 %, and two of another one."""
    sure = [0.99, 0.98, 0.97, 0.96, 0.93, 0.9, 0.7, 0.6, 0.55, 0.51]
    rows = [row(f"{k}.png", "cat", "dog", 1 - value) for k, value in enumerate(sure)]
    rows += [row(f"{k}.png", "fox", "dog", 0.3) for k in (10, 11)]
    return review_of(tmp_path, rows)


def test_many_of_a_pair_are_accepted_at_an_expected_precision_and_undone_at_once(page, pair_report):
    with served(pair_report) as (address, _):
        open_grid(page, address)
        page.keyboard.press("b")
        page.wait_for_function("() => document.querySelector('#bulk-what').textContent.length > 9")
        assert page.inner_text("#bulk-what").startswith(
            "The surest 6 of 10 undecided images: 95.5 % of the suggestions are expected to be "
            "right, so about 0.3 will be wrong."
        )
        assert len(page.query_selector_all("#bulk-images img")) == 6
        page.select_option("#bulk-precision", "0.99")
        page.wait_for_function(
            "() => document.querySelector('#bulk-accept').textContent === 'Accept 1'"
        )
        page.select_option("#bulk-precision", "0.95")
        page.get_by_role("button", name="Accept 6", exact=True).click()
        wait_for_stamps(page, 6)
        accepted = decided(pair_report)
        page.keyboard.press("z")
        wait_for_stamps(page, 0)
    assert accepted == {f"{k}.png": ("accept", "dog") for k in range(6)}
    assert decided(pair_report) == {}


def test_nothing_is_accepted_when_the_dialog_is_left(page, pair_report):
    with served(pair_report) as (address, _):
        open_grid(page, address)
        page.keyboard.press("b")
        page.wait_for_selector("#bulk[open]")
        page.keyboard.press("a")  # the keys of the page rest
        page.keyboard.press("Escape")
        page.wait_for_selector("#bulk[open]", state="detached")
        page.wait_for_function("() => document.activeElement.id === 'card-0'")
    assert decided(pair_report) == {}


def test_the_end_of_a_list_says_what_is_left_and_leads_on(page, tmp_path):
    rows = [row(f"{k}.png", "cat", "dog", 0.1) for k in range(3)]
    rows += [row(f"{k}.png", "cat", "cat", 0.9) for k in range(3, 73)]
    report = review_of(tmp_path, rows, source={"source": "photos", "labels": "my labels.csv"})
    with served(report) as (address, _):
        open_grid(page, address)
        for key in "ana":  # the second one is passed over
            page.keyboard.press(key)
        page.wait_for_selector("#end[open]")
        assert page.inner_text("#end-what") == (
            "This list has 3 images; 1 of them still without a decision."
        )
        choices = [choice.inner_text().split("\n") for choice in page.query_selector_all(".choice")]
        assert choices == [
            ["Go to the 1 undecided", "Images of this list without a decision"],
            [
                "Look at more images",
                "Expected wrong labels: about 6 in the next 60, about 7 in all 70",
            ],
        ]
        commands = [each.inner_text() for each in page.query_selector_all("#end code")]
        assert [command.partition(" report")[0] for command in commands][:1] == [
            f"labelclean apply {report} --out 'my labels-clean.csv'"
        ]
        page.keyboard.press("Enter")  # on the first choice
        page.wait_for_function("() => document.querySelector('#name').textContent === '1.png'")
        page.keyboard.press("a")
        page.wait_for_selector("#end[open]")
        page.get_by_role("button", name="Look at more images").click()
        page.wait_for_function("() => document.querySelectorAll('.thumb').length === 60")
        assert page.inner_text("#range") == "1–60 of 70 images"
    assert set(decided(report)) == {"0.png", "1.png", "2.png"}


def test_keys_beside_each_other_do_not_decide_by_accident(page, tmp_path):
    report = simple_review(tmp_path)
    with served(report) as (address, _):
        open_grid(page, address)
        for key in "jkhlmn":  # what a hand that moves by j, k, l or n may hit
            page.keyboard.press(key)
        page.keyboard.press("p")
        assert page.inner_text("#name") == "00.png"
    assert decided(report) == {}


def test_near_copies_of_a_decided_image_get_its_label_by_one_key(page, tmp_path):
    rows = [row("0.png", "cat", "dog", 0.1), row("1.png", "fox", "dog", 0.2)]
    rows += [row("2.png", "cat", "fox", 0.3), row("3.png", "dog", "dog", 0.9)]
    rows = [(*cells, "0.png" if k in (2, 3) else "") for k, cells in enumerate(rows)]
    report = review_of(tmp_path, rows)
    with served(report) as (address, _):
        open_grid(page, address)
        name = page.inner_text("#name")
        page.keyboard.press("u")
        page.wait_for_function(
            "name => document.querySelector('#name').innerText !== name"
            " && !document.querySelector('.waiting')",
            arg=name,
        )
        assert page.is_hidden("#copies")  # an unsure one has no label for the others
        page.keyboard.press("d")
        page.keyboard.press("ArrowLeft")
        page.keyboard.press("a")
        page.wait_for_selector("#copies:not([hidden])")
        first = page.inner_text("#copies-what")
        page.keyboard.press("d")
        page.wait_for_selector("#copies", state="hidden")
        page.wait_for_function("() => document.querySelector('#count-decided').innerText > '2'")
    made = decided(report)
    assert first.endswith("near copies of 2.png") or first.endswith("near copies of 0.png")
    assert {label for _, label in made.values()} == {made["0.png"][1]}
    assert set(made) == {"0.png", "2.png", "3.png"}
