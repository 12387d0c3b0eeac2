"""The review without a mouse and without eyes: axe-core on every view, names, keys alone."""

from __future__ import annotations

import numpy as np
import pytest
from axe import violations
from review_data import (
    decided,
    open_grid,
    report_of,
    row,
    served,
    simple_review,
    wait_to_hear,
    write_images,
)

from labelclean.report.doubts import doubts
from labelclean.workflows.reviewing import write_review_page

PHONE = {"width": 390, "height": 844}
FEW = ("cat", "dog", "fox")
MANY = tuple(f"class {k:03d} of a long series of names" for k in range(200))


def full_report(folder, classes):
    """The path of a report with everything that a page can show."""
    names = [f"{k:02d}.png" for k in range(12)]
    write_images(folder / "images", names)
    (folder / "images" / names[-1]).write_bytes(b"no image")
    rows = [row(n, classes[k % 2], classes[2], k / 100) for k, n in enumerate(names[:6])]
    rows += [row(n, classes[0], classes[0], 0.9) for n in names[6:9]]
    rows += [row(names[9], classes[1], classes[0], 0.2, status=f"duplicate_of:{names[6]}")]
    rows += [row(names[10], classes[2], classes[1], 0.3, flags="no_class")]
    rows += [row(names[11], classes[0], "", None, status="unreadable", second="")]
    report = report_of(
        rows, folder / "images", class_names=classes, noise_rate=0.988, notes=tuple(doubts(0.988))
    )
    report.write(folder / "report.csv")
    (folder / "report.run").mkdir()  # with features the review learns
    np.save(folder / "report.run" / "embeddings.npy", np.eye(12, dtype=np.float16))
    return folder / "report.csv"


@pytest.fixture(scope="module")
def addresses(tmp_path_factory):
    """By number of classes."""
    folders = [tmp_path_factory.mktemp("few"), tmp_path_factory.mktemp("many")]
    reports = [full_report(folders[0], FEW), full_report(folders[1], MANY)]
    with served(reports[0]) as (few, _), served(reports[1]) as (many, _):
        yield {len(FEW): few, len(MANY): many}


@pytest.mark.parametrize(("scheme", "classes"), [("light", 200), ("dark", 3)])
def test_no_view_and_no_dialog_has_a_violation(browser, addresses, scheme, classes):
    address = addresses[classes]
    context = browser.new_context(viewport={"width": 1400, "height": 900}, color_scheme=scheme)
    page = context.new_page()
    page.goto(address)
    page.wait_for_selector(".thumb", state="attached")
    problems = {"summary": violations(page)}
    page.keyboard.press("r")
    page.wait_for_selector(".thumb.in-focus")
    page.wait_for_selector(".strip")
    for key in "agxl":
        page.keyboard.press(key)
    page.wait_for_function(
        "() => document.querySelector('#learning-text').textContent.includes('moved up')"
    )
    page.wait_for_selector("[aria-busy=false]")
    page.keyboard.press("Space")
    page.wait_for_function("() => document.querySelectorAll('.stamp:not([hidden])').length >= 3")
    problems["review"] = violations(page)
    page.keyboard.press("Escape")
    for view, keys in {"zoom": ["Enter", "+"], "chooser": "o", "bulk": "b", "help": "?"}.items():
        for key in keys:
            page.keyboard.press(key)
        page.wait_for_selector(f"#{view}[open]")
        problems[view] = violations(page)
        page.keyboard.press("Escape")
        page.wait_for_selector(f"#{view}[open]", state="detached")
    page.keyboard.press("PageDown")
    page.wait_for_selector("#end[open]")
    problems["end"] = violations(page)
    page.keyboard.press("Escape")
    page.keyboard.press("/")
    page.keyboard.type("nothing has this name")
    page.wait_for_selector("#empty:not([hidden])")
    problems["empty"] = violations(page)
    context.close()
    assert [f"{view}: {each}" for view, found in problems.items() for each in found] == []


def test_no_view_has_a_violation_on_a_phone(browser, addresses):
    context = browser.new_context(viewport=PHONE, has_touch=True, is_mobile=True)
    page = context.new_page()
    page.goto(addresses[3])
    page.wait_for_selector(".thumb", state="attached")
    problems = {"summary": violations(page)}
    page.tap("[data-view=review]")
    page.wait_for_selector(".strip")
    problems["review"] = violations(page)
    page.tap("#photo")
    page.wait_for_selector("#zoom[open]")
    problems["zoom"] = violations(page)
    context.close()
    assert [f"{view}: {each}" for view, found in problems.items() for each in found] == []


def test_the_page_of_one_file_has_no_violation(browser, tmp_path):
    report = full_report(tmp_path, FEW)
    write_review_page(report, tmp_path / "page.html", top=5)
    context = browser.new_context(viewport={"width": 1400, "height": 900})
    page = context.new_page()
    page.goto((tmp_path / "page.html").as_uri())
    page.wait_for_selector(".thumb", state="attached")
    problems = {"summary": violations(page)}
    page.keyboard.press("r")
    page.wait_for_selector(".strip")
    problems["review"] = violations(page)
    context.close()
    assert [f"{view}: {each}" for view, found in problems.items() for each in found] == []


def test_a_whole_review_needs_no_mouse(page, tmp_path):
    """Tab and Enter from the address to the first decision, a filter and the help."""
    report = full_report(tmp_path, FEW)
    with served(report) as (address, _):
        page.goto(address)
        page.wait_for_selector(".thumb", state="attached")
        tab_to(page, "Review 8 suspicious images")
        page.keyboard.press("Enter")
        page.wait_for_selector(".thumb.in-focus")
        tab_to(page, "Zoom into the photo (Enter)")
        page.keyboard.press("Enter")
        page.wait_for_selector("#zoom[open]")
        tab_to(page, "Accept the suggested label (a)")
        page.keyboard.press("Enter")
        page.wait_for_function("() => document.querySelector('#count-decided').textContent[0] > 0")
        page.keyboard.press("Escape")
        tab_to(page, "Help and keys (?)")
        page.keyboard.press("Enter")
        page.wait_for_selector("#help[open]")
    assert len(decided(report)) == 1


def tab_to(page, name: str) -> None:
    """By Tab alone, in at most 60 presses."""
    for _ in range(60):
        page.keyboard.press("Tab")
        focused = page.evaluate(
            "(document.activeElement.ariaLabel ?? document.activeElement.innerText ?? '').trim()"
        )
        if focused.startswith(name):
            return
    raise AssertionError(f"no Tab leads to {name}")


def test_a_screen_reader_hears_what_every_part_is_and_what_happened(page, tmp_path):
    with served(simple_review(tmp_path)) as (address, _):
        open_grid(page, address)
        for role, name in (
            ("listbox", "Images, the most suspicious first"),
            ("option", "00.png given cat suggested dog 100 % wrong undecided"),
            ("region", "The image in focus"),
            ("meter", "Chance that the given label is wrong"),
            ("group", "Give it a class"),
            ("heading", "Images"),
        ):
            assert page.get_by_role(role, name=name, exact=True).count() == 1, name
        page.keyboard.press("a")
        wait_to_hear(page, "00.png accepted: dog")
        page.keyboard.press("Enter")
        assert page.get_by_role("dialog", name="01.png").count() == 1
        assert page.get_by_role("region", name="Photo 01.png, given fox").count() == 1
