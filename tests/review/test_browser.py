"""The review in a real browser: keys, a killed server, several tabs, buttons."""

from __future__ import annotations

import httpx2 as httpx
import pytest
from review_data import (
    decided,
    open_grid,
    served,
    simple_review,
    wait_for_stamps,
    wait_to_hear,
)

COUNT = 30  # images: more than one page of 24


@pytest.fixture(scope="module")
def one_server(tmp_path_factory):
    """A report and the address of its review, for all tests that do not kill it."""
    report = simple_review(tmp_path_factory.mktemp("review"), COUNT)
    with served(report) as (address, _):
        yield report, address


@pytest.fixture
def review(one_server):
    """The same without any decision: those of the tests before are undone."""
    report, address = one_server
    origin = address.partition("/?")[0]
    with httpx.Client(base_url=origin, headers={"origin": origin}) as client:
        client.get(address)  # for the cookie
        while client.post("/api/undo", json={}).raise_for_status().json()["changed"]:
            pass
    assert decided(report) == {}
    return one_server


def stamps(page) -> list[str]:
    return [
        "" if stamp.get_attribute("hidden") is not None else stamp.inner_text()
        for stamp in page.query_selector_all(".thumb .stamp")
    ]


def test_decisions_by_keys_outlive_a_killed_server(page, tmp_path):
    report = simple_review(tmp_path)
    with served(report, "--reviewer", "ann") as (address, process):
        open_grid(page, address)
        assert "token" not in page.url
        for key in "agxu":
            page.keyboard.press(key)
        page.keyboard.press("o")
        page.keyboard.press("3")  # its key among all classes
        wait_for_stamps(page, 5)
        assert page.inner_text("#count-decided") == "5 / 12"
        process.kill()
        process.wait()
        page.keyboard.press("a")
        page.wait_for_selector("#banner:not([hidden])")
        assert "The review's server does not answer" in page.inner_text("#banner")
        page.wait_for_function("() => !document.querySelector('.waiting')")
        assert len([stamp for stamp in stamps(page) if stamp]) == 5
    assert decided(report) == {
        "00.png": ("accept", "dog"),
        "01.png": ("keep", "fox"),
        "02.png": ("exclude", None),
        "03.png": ("unsure", None),
        "04.png": ("other", "fox"),
    }
    with served(report) as (address, _):
        open_grid(page, address)
        wait_for_stamps(page, 5)
        assert stamps(page)[:6] == ["✓ accept", "↩ keep", "✕ exclude", "? unsure", "✎ fox", ""]
        # The review goes on at the first image without a decision.
        assert page.inner_text("#name") == "05.png"
        page.reload()
        page.wait_for_selector(".thumb.in-focus")
        wait_for_stamps(page, 5)


def test_undo_by_z_and_ctrl_z_takes_back_a_batch_at_once(page, review):
    report, address = review
    open_grid(page, address)
    page.keyboard.press("x")
    wait_for_stamps(page, 1)
    page.keyboard.press("e")  # of fox -> dog, as the second image
    assert page.inner_text("#selected-count") == "15 selected"
    page.keyboard.press("a")
    wait_for_stamps(page, 16)
    page.keyboard.press("Control+z")
    wait_for_stamps(page, 1)
    page.keyboard.press("z")
    wait_for_stamps(page, 0)
    assert decided(report) == {}


def test_a_selection_by_space_and_shift_is_decided_as_one_batch(page, review):
    report, address = review
    open_grid(page, address)
    for key in ("n", "Space", "Shift+ArrowRight", "Shift+ArrowRight", "Shift+ArrowLeft"):
        page.keyboard.press(key)
    assert page.inner_text("#selected-count") == "2 selected"
    page.keyboard.press("g")
    wait_for_stamps(page, 2)
    assert decided(report) == {"01.png": ("keep", "fox"), "02.png": ("keep", "cat")}


def test_every_command_has_a_button_with_a_name(page, review):
    report, address = review
    open_grid(page, address)
    for name in ("Accept the suggested", "Keep the given", "Exclude", "Mark as unsure"):
        page.get_by_role("button", name=name).click()
    page.get_by_role("button", name="Other label").click()
    page.get_by_role("listbox", name="Labels").get_by_text("fox").click()
    wait_for_stamps(page, 5)
    page.get_by_role("button", name="Undo your last").click()
    wait_for_stamps(page, 4)
    for button in page.query_selector_all("button"):
        name = button.get_attribute("aria-label") or button.text_content()
        assert name.strip(), button.get_attribute("id")
    assert len(decided(report)) == 4


def test_what_was_done_is_announced(page, review):
    _, address = review
    open_grid(page, address)
    page.keyboard.press("a")
    wait_to_hear(page, "00.png accepted: dog")
    page.keyboard.press("z")
    wait_to_hear(page, "1 decision undone")
    name = "00.png given cat suggested dog 100 % wrong undecided"
    assert page.get_by_role("option", name=name).evaluate("it => it === document.activeElement")


def test_a_page_turns_by_itself_and_goes_on_with_the_next_images(page, review):
    report, address = review
    open_grid(page, address)
    page.select_option("#page-size", "24")
    page.wait_for_function("() => document.querySelectorAll('.thumb').length === 24")
    page.focus(".thumb.in-focus")
    page.keyboard.press("End")
    page.keyboard.press("a")
    page.wait_for_function("() => document.querySelector('#name').textContent === '24.png'")
    page.keyboard.press("ArrowLeft")
    page.wait_for_function("() => document.querySelector('#name').textContent === '23.png'")
    assert decided(report) == {"23.png": ("accept", "dog")}


def test_the_undecided_are_all_shown_though_the_decided_drop_out(page, review):
    report, address = review
    open_grid(page, address)
    page.select_option("#page-size", "24")
    page.select_option("[name=decided]", "no")
    page.wait_for_function("() => document.querySelectorAll('.thumb').length === 24")
    page.focus(".thumb.in-focus")
    for k in range(30):
        page.keyboard.press("a")
        page.wait_for_function(
            "k => document.querySelector('#count-decided').textContent === `${k} / 30`"
            " && !document.querySelector('.waiting, [aria-busy=true]')",
            arg=k + 1,
        )
        if k == 23:  # the page turns to what is left
            page.wait_for_function("() => document.querySelectorAll('.thumb').length === 6")
    page.wait_for_selector("#empty:not([hidden])")
    assert len(decided(report)) == 30


def test_another_tab_shows_a_decision_by_itself(page, review):
    _, address = review
    open_grid(page, address)
    other = page.context.new_page()
    open_grid(other, address)
    page.bring_to_front()
    page.keyboard.press("a")
    wait_for_stamps(page, 1)
    other.bring_to_front()
    wait_for_stamps(other, 1)
    assert other.inner_text("#count-decided") == "1 / 30"


def test_a_cell_of_the_matrix_shows_its_images(page, review):
    _, address = review
    page.goto(address)
    page.wait_for_selector(".thumb", state="attached")
    page.get_by_role("button", name="15 given fox, suggested dog").click()
    page.wait_for_function("() => document.querySelectorAll('.thumb').length === 15")
    assert page.inner_text("#range") == "1–15 of 15 images"
    page.reload()  # the address holds the filter
    page.wait_for_function("() => document.querySelectorAll('.thumb').length === 15")


def test_keys_in_the_search_field_are_text(page, review):
    report, address = review
    open_grid(page, address)
    page.keyboard.press("/")
    page.keyboard.type("agx")
    page.wait_for_selector("#empty:not([hidden])")
    assert page.input_value("[name=search]") == "agx"
    assert decided(report) == {}


def test_the_theme_follows_the_system_until_it_is_chosen(browser, review):
    _, address = review
    context = browser.new_context(color_scheme="dark")
    page = context.new_page()
    page.goto(address)
    page.wait_for_selector(".thumb", state="attached")
    paper = "getComputedStyle(document.body).backgroundColor"
    dark = page.evaluate(paper)
    page.click("#theme")
    light = page.evaluate(paper)
    page.reload()
    assert (dark, light) == ("rgb(14, 19, 26)", "rgb(246, 247, 249)")
    assert page.evaluate(paper) == light
    context.close()
