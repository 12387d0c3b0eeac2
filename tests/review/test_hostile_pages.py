"""Hostile names and other origins against the review in a real browser."""

from __future__ import annotations

import os
import sys
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
from review_data import (
    decided,
    open_grid,
    report_of,
    row,
    served,
    simple_review,
    wait_for_stamps,
    write_images,
)

HOSTILE = {  # the name, and how it is shown
    "<img src=x onerror=alert(1)>.png": "<img src=x onerror=alert(1)>.png",
    "\"'><svg onload=alert(2)>.png": "\"'><svg onload=alert(2)>.png",
    "new\nline.png": r"new\nline.png",
    "=cmd().png": "=cmd().png",
    "\u202egnp.evil.png": r"\u202egnp.evil.png",
    "{{ 7*7 }}${7*7}.png": "{{ 7*7 }}${7*7}.png",
    os.fsdecode(b"caf\xe9.png"): r"caf\udce9.png",
}
LABELS = ("<script>alert(3)</script>", "\"'><b onmouseover=alert(4)>", "=1+1\nשלום")


@pytest.mark.skipif(sys.platform != "linux", reason="such names need a file system of Linux")
def test_hostile_names_are_shown_and_not_run(page, tmp_path):
    write_images(tmp_path / "images", list(HOSTILE))
    script, markup, formula = LABELS
    rows = [row(name, script, markup, k / 50, second=formula) for k, name in enumerate(HOSTILE)]
    report = tmp_path / "report.csv"
    report_of(
        rows, tmp_path / "images", class_names=LABELS, notes=("<script>alert(5)</script>",)
    ).write(report)
    with served(report) as (address, _):
        open_grid(page, address)
        shown = []
        for at in range(len(HOSTILE)):
            page.wait_for_function("at => document.querySelector(`#card-${at}.in-focus`)", arg=at)
            shown.append(page.inner_text("#name"))
            page.keyboard.press("a")
        wait_for_stamps(page, len(HOSTILE))
        page.wait_for_selector("#end[open]")
        page.keyboard.press("Escape")
        assert shown == list(HOSTILE.values())
        assert page.inner_text("#given") == script and page.inner_text("#suggested") == markup
        page.hover("#suggested")
        page.keyboard.press("o")
        page.wait_for_selector("#chooser[open]")
        assert r"=1+1\nשלום" in page.inner_text("#chooser-list")
        page.keyboard.press("Escape")
        page.keyboard.press("s")
        assert "<script>alert(5)</script>" in page.inner_text("#summary")
        strange = "script:not([src]), [onerror], [onload], [onmouseover], .thumb b"
        assert page.query_selector_all(strange) == []
        assert page.query_selector_all(".without-image") == []
    assert decided(report) == {name: ("accept", markup) for name in HOSTILE}


class _Attacker(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("content-type", "text/html")
        self.end_headers()
        self.wfile.write(b"<!doctype html><title>other</title>")

    def log_message(self, *arguments: object) -> None:
        pass


@pytest.fixture
def other_origin():
    """A page of another origin that is the same site, so that the cookie goes with its requests."""
    with HTTPServer(("127.0.0.1", 0), _Attacker) as attacker:
        thread = threading.Thread(target=attacker.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{attacker.server_port}/"
        attacker.shutdown()
        thread.join()


ATTACK = """async (host) => {
  const outcomes = [];
  const body = JSON.stringify({ rows: [0], action: "exclude" });
  for (const type of ["text/plain", "application/json"])
    for (const mode of ["no-cors", "cors"])
      await fetch(`${host}api/decisions`, {
        method: "POST", mode, body, credentials: "include", headers: { "content-type": type },
      }).then((answer) => outcomes.push(answer.status), () => outcomes.push("refused"));
  for (const mode of ["no-cors", "cors"])
    await fetch(`${host}api/rows`, { mode, credentials: "include" })
      .then((answer) => outcomes.push(answer.status), () => outcomes.push("refused"));
  return outcomes;
}"""


def test_another_origin_can_neither_read_nor_decide(browser, tmp_path, other_origin):
    report = simple_review(tmp_path)
    context = browser.new_context()
    with served(report) as (address, _):
        page = context.new_page()
        open_grid(page, address)  # the cookie is set
        attacker = context.new_page()
        attacker.goto(other_origin)
        outcomes = attacker.evaluate(ATTACK, address.partition("?")[0])
        assert set(outcomes) <= {"refused", 0}, outcomes  # 0: an answer that nobody can read
        assert outcomes[-1] == "refused"
        page.bring_to_front()
        page.keyboard.press("a")
        wait_for_stamps(page, 1)
    context.close()
    assert decided(report) == {"00.png": ("accept", "dog")}


def test_without_the_token_a_browser_sees_only_the_refusal(page, tmp_path):
    with served(simple_review(tmp_path)) as (address, _):
        answer = page.goto(address.partition("?")[0])
        assert answer.status == 403
        assert page.inner_text("body").startswith("refused: open the address that labelclean")
