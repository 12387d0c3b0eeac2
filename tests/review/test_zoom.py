"""Looking closely, in a real browser: size of the photo, zoom, pan, comparison, phones."""

from __future__ import annotations

import io

import httpx2 as httpx
import numpy as np
import pytest
from PIL import Image
from review_data import decided, open_grid, report_of, row, served, write_images

WIDE, TALL = (3000, 1200), (400, 4000)


@pytest.fixture(scope="module")
def one_server(tmp_path_factory):
    """A wide and a tall photo and small images of two classes, with features."""
    folder = tmp_path_factory.mktemp("review")
    names = ["wide.png", "tall.png", *(f"{k}.png" for k in range(8))]
    write_images(folder / "images", names)
    pixels = np.random.default_rng(0).integers(0, 255, (WIDE[1] // 4, WIDE[0] // 4, 3), np.uint8)
    Image.fromarray(pixels).resize(WIDE).save(folder / "images" / "wide.png")
    Image.new("RGB", TALL, "teal").save(folder / "images" / "tall.png")
    rows = [row("wide.png", "cat", "dog", 0.01), row("tall.png", "dog", "cat", 0.02)]
    rows += [row(name, "cat", "cat", 0.9) for name in names[2:6]]
    rows += [row(name, "dog", "dog", 0.9) for name in names[6:]]
    report_of(rows, folder / "images").write(folder / "report.csv")
    (folder / "report.run").mkdir()
    features = np.random.default_rng(0).normal(size=(10, 4)).astype(np.float16)
    np.save(folder / "report.run" / "embeddings.npy", features)
    with served(folder / "report.csv") as (address, _):
        yield folder / "report.csv", address


@pytest.fixture
def review(one_server, page):
    """The grid in a window of 1400 by 900, nothing decided."""
    report, address = one_server
    origin = address.partition("/?")[0]
    with httpx.Client(base_url=origin, headers={"origin": origin}) as client:
        client.get(address)
        while client.post("/api/undo", json={}).raise_for_status().json()["changed"]:
            pass
    page.set_viewport_size({"width": 1400, "height": 900})
    open_grid(page, address)
    page.wait_for_selector(".strip img")
    return report


def scale(page) -> float:
    return page.evaluate(
        "document.querySelector('#zoom-image').getBoundingClientRect().width"
        " / document.querySelector('#zoom-image').naturalWidth"
    )


def wait_for_full(page, width: int) -> None:
    page.wait_for_function(
        "width => document.querySelector('#zoom-image').naturalWidth === width", arg=width
    )


def corner(page) -> tuple[float, float]:
    box = page.evaluate("document.querySelector('#zoom-image').getBoundingClientRect().toJSON()")
    return round(box["x"]), round(box["y"])


def test_the_photo_takes_half_of_the_windows_height_and_none_of_it_is_cut_off(page, review):
    stage = page.evaluate("document.querySelector('.stage').getBoundingClientRect().toJSON()")
    assert stage["height"] >= 450
    for selector in ("#photo", ".panel .actions", ".panel .class-keys"):
        assert page.locator(selector).bounding_box()["y"] >= 0
        box = page.locator(selector).bounding_box()
        assert box["y"] + box["height"] <= 900, selector
    fit = "getComputedStyle(document.querySelector('#large')).objectFit"
    assert page.evaluate(fit) == "contain"


def test_wide_and_tall_photos_are_whole_in_the_grid(page, review):
    for at in (0, 1):
        frame = page.locator(f"#card-{at} .frame").bounding_box()
        assert page.locator(f"#card-{at} img").bounding_box() == frame
        fit = f"getComputedStyle(document.querySelector('#card-{at} img')).objectFit"
        assert page.evaluate(fit) == "contain"


@pytest.mark.parametrize("ratio", [1, 2])
def test_a_photo_is_sent_in_the_size_that_the_screen_needs(browser, one_server, ratio):
    context = browser.new_context(
        viewport={"width": 1400, "height": 900}, device_scale_factor=ratio
    )
    page = context.new_page()
    page.goto(one_server[1])
    page.wait_for_selector(".strip img", state="attached")  # with the summary before it
    page.keyboard.press("r")
    page.wait_for_function("() => document.querySelector('#large').naturalWidth > 500")
    assert page.evaluate("document.querySelector('#large').naturalWidth") == 1024 * ratio
    cards = "[...document.querySelectorAll('.thumb img')].map((image) => image.naturalWidth)"
    assert max(page.evaluate(cards)) == 224 * ratio
    context.close()


@pytest.mark.parametrize("way", ["Enter", "click", "wheel"])
def test_enter_a_click_and_the_wheel_show_the_photo_in_full_resolution(page, review, way):
    if way == "Enter":
        page.keyboard.press("Enter")
    elif way == "click":
        page.click("#photo")
    else:
        page.hover("#photo")
        page.mouse.wheel(0, -100)
    page.wait_for_selector("#zoom[open]")
    wait_for_full(page, WIDE[0])
    page.keyboard.press("Escape")
    page.wait_for_selector("#zoom[open]", state="detached")
    page.wait_for_function("() => document.activeElement.id === 'card-0'")


def test_the_wheel_turned_down_over_the_photo_leaves_the_page_as_it_is(page, review):
    page.hover("#photo")
    page.mouse.wheel(0, 100)
    assert page.query_selector("#zoom[open]") is None


def test_the_zoom_grows_shrinks_and_moves_by_keys(page, review):
    page.keyboard.press("Enter")
    wait_for_full(page, WIDE[0])
    fitted = scale(page)
    page.keyboard.press("Enter")
    assert scale(page) == pytest.approx(1)  # a pixel of the photo on a pixel of the screen
    assert page.inner_text("#zoom-scale") == "100 %"
    before = corner(page)
    page.keyboard.press("ArrowRight")
    after = corner(page)
    assert after[0] < before[0] and after[1] == before[1]
    page.keyboard.press("+")
    assert scale(page) == pytest.approx(1.4)
    page.keyboard.press("-")
    page.keyboard.press("Enter")
    assert scale(page) == pytest.approx(fitted)


def test_the_zoom_follows_the_mouse(page, review):
    page.keyboard.press("Enter")
    wait_for_full(page, WIDE[0])
    box = page.locator("#zoom-area").bounding_box()
    x, y = box["x"] + 200, box["y"] + box["height"] / 2
    point = "([x, y]) => { const box = document.querySelector('#zoom-image')"
    point += (
        ".getBoundingClientRect(); return [(x - box.x) / box.width, (y - box.y) / box.height] }"
    )
    page.mouse.move(x, y)
    before = page.evaluate(point, [x, y])
    for _ in range(6):
        page.mouse.wheel(0, -100)
    page.wait_for_function(
        "() => document.querySelector('#zoom-area').classList.contains('can-move')"
    )
    assert page.evaluate(point, [x, y]) == pytest.approx(before, abs=0.01)
    start = corner(page)
    page.mouse.down()
    page.mouse.move(x + 60, y, steps=3)
    page.mouse.up()
    assert corner(page)[0] == start[0] + 60


def test_a_tall_photo_is_shown_whole(page, review):
    page.keyboard.press("n")
    page.keyboard.press("Enter")
    wait_for_full(page, TALL[0])
    photo = page.locator("#zoom-image").bounding_box()
    area = page.locator("#zoom-area").bounding_box()
    assert photo["height"] == pytest.approx(area["height"], abs=1)
    assert photo["width"] < area["width"]


def test_the_nearest_images_of_both_classes_stand_beside_the_photo(page, review):
    page.keyboard.press("Enter")
    page.wait_for_selector("#zoom .compared")
    titles = [title.inner_text() for title in page.query_selector_all("#zoom .compared h3")]
    assert titles == ["nearest cat", "nearest dog"]
    large = page.locator("#zoom .compared-large img")
    first = large.first.get_attribute("src")
    page.get_by_role("button", name="Compare with").nth(1).click()
    assert large.first.get_attribute("src") != first
    page.keyboard.press("c")
    assert page.locator("#zoom-compare").bounding_box() is None


def test_decisions_and_digits_work_in_the_zoom_and_the_next_photo_follows(page, review):
    page.keyboard.press("Enter")
    page.wait_for_selector("#zoom[open]")
    page.keyboard.press("a")
    page.wait_for_function("() => document.querySelector('#zoom-name').textContent === 'tall.png'")
    page.keyboard.press("3")
    page.wait_for_selector("#end[open]")  # the list is at its end
    assert page.query_selector("#zoom[open]") is None
    assert decided(review) == {"wide.png": ("accept", "dog"), "tall.png": ("other", "fox")}


def test_an_unreadable_photo_says_so_in_the_zoom(page, tmp_path):
    write_images(tmp_path / "images", ["a.png"])
    (tmp_path / "images" / "a.png").write_bytes(b"no image")
    report_of([row("a.png")], tmp_path / "images").write(tmp_path / "report.csv")
    with served(tmp_path / "report.csv") as (address, _):
        open_grid(page, address)
        page.keyboard.press("Enter")
        page.wait_for_selector("#zoom-note:not([hidden])")
        assert page.inner_text("#zoom-note") == "No image to show: ok"


def test_on_a_phone_the_photo_is_large_and_every_button_can_be_hit(browser, one_server):
    context = browser.new_context(
        viewport={"width": 390, "height": 844}, has_touch=True, is_mobile=True
    )
    page = context.new_page()
    page.goto(one_server[1])
    page.tap("[data-view=review]")
    page.wait_for_selector(".strip img")
    photo = page.locator("#photo").bounding_box()
    assert photo["height"] >= 300 and 0 <= photo["y"] < 844 - 300
    size = "(each) => each.getBoundingClientRect().height"
    for where in ("review", "zoom", "summary"):
        if where == "zoom":
            page.tap("#photo")
            page.wait_for_selector("#zoom[open]")
        if where == "summary":
            page.tap("[data-zoom=close]")
            page.evaluate("scrollTo(0, 0)")
            page.tap("[data-view=summary]")
        for button in page.locator(f"#{where} button:visible:not(.link), .top button").all():
            assert button.evaluate(size) >= 44, button.evaluate("(each) => each.outerHTML")
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    context.close()


def test_full_resolution_keeps_every_pixel_of_a_photo(one_server):
    address = one_server[1]
    with httpx.Client(base_url=address.partition("/?")[0]) as client:
        client.get(address)
        picture = client.get("/image/0", params={"side": 0})
        assert Image.open(io.BytesIO(picture.content)).size == WIDE
        assert client.get("/image/0", params={"side": 300}).status_code == 400
