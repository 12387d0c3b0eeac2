"""The review's server: who may ask, what is answered, and what is kept."""

from __future__ import annotations

import os
import re
import signal
import sqlite3
import time
from pathlib import Path

import httpx2 as httpx
import pytest
from review_data import HOST, PORT, TOKEN, open_review, served, simple_review

from labelclean.decisions.store import decisions_path, read_decisions


@pytest.fixture
def review(tmp_path):
    opened = open_review(simple_review(tmp_path))
    assert opened.client.get(f"/?token={TOKEN}").status_code == 200
    yield opened
    opened.session.close()


@pytest.fixture
def stranger(review):
    """A client of the same server without the cookie."""
    review.client.cookies.clear()
    return review.client


@pytest.mark.parametrize("path", ["/", "/api/rows", "/image/0", "/assets/app.js"])
@pytest.mark.parametrize("token", [None, "", "wrong", "secret-tokem"])
def test_nothing_is_answered_without_the_token(stranger, path, token):
    params = {} if token is None else {"token": token}
    answer = stranger.get(path, params=params)
    assert answer.status_code == 403
    assert answer.text == (
        "refused: open the address that labelclean review printed, with its token"
    )
    assert "set-cookie" not in answer.headers


def test_the_token_in_the_address_of_anything_but_the_page_opens_nothing(stranger):
    assert stranger.get("/api/rows", params={"token": TOKEN}).status_code == 403


def test_the_cookie_is_out_of_reach_for_scripts_and_other_sites(review):
    cookie = review.client.get("/", params={"token": TOKEN}).headers["set-cookie"]
    assert cookie == f"labelclean_{PORT}={TOKEN}; Path=/; HttpOnly; SameSite=Strict"


@pytest.mark.parametrize("host", ["evil.example", f"evil.example:{PORT}", "127.0.0.1", "", "[::1]"])
def test_another_host_name_is_refused(review, host):
    answer = review.client.get("/api/rows", headers={"host": host})
    assert (answer.status_code, answer.text) == (403, "refused: not this server's name")


@pytest.mark.parametrize(
    "origin", ["https://evil.example", "null", f"http://localhost:{PORT}", "http://127.0.0.1:1"]
)
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_another_origin_is_refused(review, origin, method):
    headers = {"origin": origin}
    body = {"rows": [0], "action": "accept"}
    answer = review.client.request(method, "/api/decisions", json=body, headers=headers)
    assert (answer.status_code, answer.text) == (403, "refused: asked for by another page")
    assert review.session.counter().decided == 0


def test_a_post_that_names_no_origin_is_refused(review):
    answer = review.client.post("/api/decisions", json={"rows": [0], "action": "accept"})
    assert (answer.status_code, review.session.counter().decided) == (403, 0)


def test_a_form_of_another_page_decides_nothing(review):
    body = '{"rows": [0], "action": "accept"}'
    headers = {"origin": HOST, "content-type": "text/plain"}
    answer = review.client.post("/api/decisions", content=body, headers=headers)
    assert answer.status_code == 400
    assert review.session.counter().decided == 0


def test_every_script_and_style_that_the_page_needs_is_served(review):
    names = re.findall(r'/assets/([a-z_.]+)"', review.client.get("/").text)
    seen: set[str] = set()
    while names:
        name = names.pop()
        if name in seen:
            continue
        seen.add(name)
        answer = review.client.get(f"/assets/{name}")
        assert answer.status_code == 200, name
        if name.endswith(".js"):
            names += re.findall(r'from "\./([a-z_]+\.js)"', answer.text)
    assert {"app.js", "zoom.js", "narrow.css", "icon.svg"} <= seen


def test_every_answer_forbids_inline_script_framing_and_guessed_types(review):
    for path in ("/", "/api/rows", "/image/0", "/assets/app.js", "/nothing"):
        headers = review.client.get(path).headers
        policy = dict(part.strip().split(" ", 1) for part in headers[CSP].split(";"))
        assert policy["default-src"] == "'none'"
        assert policy["script-src"] == policy["style-src"] == "'self'"
        assert policy["frame-ancestors"] == "'none'"
        assert headers["x-content-type-options"] == "nosniff"
    page = review.client.get("/").text
    assert "<style" not in page and " style=" not in page and "javascript:" not in page
    assert page.count("<script") == page.count("<script src=") + page.count('<script type="module"')


CSP = "content-security-policy"


@pytest.mark.parametrize(
    "path",
    [
        "/image/..%2f..%2freport.csv",
        "/image/../report.csv",
        "/image/00.png",
        "/assets/..%2fserver.py",
    ]
    + ["/assets/page.html", "/assets/%2e%2e%2f%2e%2e%2fpages.py", "/image/-1", "/report.csv"],
)
def test_no_path_leads_to_a_file(review, path):
    answer = review.client.get(path)
    assert answer.status_code == 404
    assert b"given_label" not in answer.content


@pytest.mark.parametrize(
    "path",
    ["/image/12", "/image/99999999999999999999", "/api/row/12", "/api/pair?row=12&precision=0.9"],
)
def test_a_row_that_is_not_there_is_refused(review, path):
    assert review.client.get(path).status_code == 400


@pytest.mark.parametrize(
    "params",
    ["given=x", "low=x", "verdict=all", "decided=maybe", "size=0", "size=501", "offset=-1"],
)
def test_a_query_that_no_page_sends_is_refused(review, params):
    assert review.client.get(f"/api/rows?{params}").status_code == 400


def test_a_decision_is_in_the_file_before_the_answer(review):
    review.decide([0], "accept")
    review.decide([1], "keep")
    review.decide([2], "other", 2)
    review.decide([3], "exclude")
    review.decide([4], "unsure")
    found = read_decisions(decisions_path(review.path))
    assert {d.image: (d.action, d.label, d.before) for d in found.values()} == {
        "00.png": ("accept", "dog", "cat"),
        "01.png": ("keep", "fox", "fox"),
        "02.png": ("other", "fox", "cat"),
        "03.png": ("exclude", None, "fox"),
        "04.png": ("unsure", None, "cat"),
    }
    assert {d.reviewer for d in found.values()} == {"ann"}
    assert found["00.png"].at.endswith("Z") and found["00.png"].at[:4] >= "2024"


def test_choosing_the_suggested_or_the_given_label_by_name_is_accepting_or_keeping(review):
    answer = review.decide([0], "other", 1)
    assert answer["decisions"]["0"]["action"] == "accept"
    assert review.decide([0], "other", 0)["decisions"]["0"]["action"] == "keep"


@pytest.mark.parametrize(
    "body",
    [
        {"rows": [0], "action": "delete"},
        {"rows": [], "action": "accept"},
        {"rows": [12], "action": "accept"},
        {"rows": [-1], "action": "accept"},
        {"rows": ["0"], "action": "accept"},
        {"rows": [True], "action": "accept"},
        {"rows": "0", "action": "accept"},
        {"rows": [0], "action": "other"},
        {"rows": [0], "action": "other", "label": 3},
        {"rows": [0], "action": "other", "label": "cat"},
        [1],
    ],
)
def test_a_decision_that_makes_no_sense_is_refused_whole(review, body):
    answer = review.post("/api/decisions", body)
    assert answer.status_code == 400 and answer.json()["error"]
    assert review.session.counter().decided == 0


def test_another_tab_learns_of_a_decision_by_the_version(review):
    before = review.client.get("/api/rows").json()["version"]
    asked = {"rows": "0,1", "since": before}
    assert review.client.get("/api/states", params=asked).json() == {
        "version": before,
        "learning": None,
    }
    review.decide([0], "accept")
    answer = review.client.get("/api/states", params=asked).json()
    assert answer["version"] > before
    assert answer["decisions"]["0"]["action"] == "accept" and answer["decisions"]["1"] is None


def test_what_another_process_decides_arrives(review):
    other = open_review(review.path, "bob").session
    other.decide([5], "exclude")
    answer = review.client.get("/api/states", params={"rows": "5", "since": 0}).json()
    assert answer["decisions"]["5"]["reviewer"] == "bob"
    other.close()


def test_what_another_process_decides_between_two_decisions_of_ours_arrives(review):
    other = open_review(review.path, "bob").session
    review.decide([0], "accept")
    other.decide([5], "exclude")
    review.decide([1], "keep")
    answer = review.client.get("/api/states", params={"rows": "0,1,5", "since": 0}).json()
    held = {row: decision["action"] for row, decision in answer["decisions"].items()}
    assert held == {"0": "accept", "1": "keep", "5": "exclude"}
    other.close()


def test_our_own_decision_is_not_read_again_from_the_file(review):
    before = review.session.version
    review.decide([0], "accept")
    review.client.get("/api/states", params={"rows": "0", "since": before})
    assert review.session.version == before + 1


def test_a_file_that_cannot_be_written_is_told_and_nothing_counts_as_decided(review):
    locked = sqlite3.connect(decisions_path(review.path), isolation_level=None)
    locked.execute(
        "CREATE TRIGGER full BEFORE INSERT ON decision BEGIN SELECT RAISE(ABORT, 'no'); END"
    )
    answer = review.post("/api/decisions", {"rows": [0], "action": "accept"})
    assert answer.status_code == 503
    assert "report.decisions.sqlite" in answer.json()["error"]
    assert review.session.counter().decided == 0
    locked.close()


def test_ctrl_c_ends_the_server_in_good_order_and_says_what_comes_next(tmp_path):
    report = simple_review(tmp_path)
    with served(report, "--reviewer", "eve") as (address, process):
        host = address.partition("/?")[0]
        client = httpx.Client(base_url=host, headers={"origin": host}, trust_env=False)
        assert client.get(address).status_code == 200
        done = client.post("/api/decisions", json={"rows": [0, 1], "action": "accept"})
        assert done.json()["counter"]["decided"] == 2
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=20)
        client.close()
    assert process.returncode == 0
    assert out == ""
    assert err.splitlines() == [
        "labelclean: open this address; Ctrl-C ends the review",
        f"2 decisions in {decisions_path(report)}",
        "about 9 wrong labels expected among the images without one",
        f"Write the corrected labels:  labelclean apply {report} --out labels-clean",
        f"Train a classifier on them:  labelclean train --report {report}",
        f"Go on with the review:       labelclean review {report}",
    ]
    assert {d.reviewer for d in read_decisions(decisions_path(report)).values()} == {"eve"}


def test_no_answer_waits_for_the_network_stack(tmp_path):
    with served(simple_review(tmp_path)) as (address, _):
        host = address.partition("/?")[0]
        with httpx.Client(base_url=host, trust_env=False) as client:
            client.get(address)
            took = []
            for _ in range(20):
                started = time.perf_counter()
                client.get("/assets/theme.js").raise_for_status()
                took.append(time.perf_counter() - started)
    assert min(took) < 0.03  # delayed acknowledgements would make each take 40 ms


def test_it_listens_on_this_machine_only(tmp_path):
    with served(simple_review(tmp_path)) as (address, process):
        port = int(address.split(":")[2].partition("/")[0])
        listening = Path(f"/proc/{process.pid}/net/tcp")
        if not listening.exists():
            pytest.skip("only Linux tells who listens where by /proc")
        wanted = f":{port:04X}"
        places = [line.split()[1] for line in listening.read_text().splitlines()[1:]]
        assert [p for p in places if p.endswith(wanted)][0] == f"0100007F{wanted}"


def test_a_user_error_is_one_line_before_anything_is_served(tmp_path):
    from typer.testing import CliRunner

    from labelclean.cli import app

    report = simple_review(tmp_path)
    for options, problem in (
        (["--port", "70000"], "--port is 70000, must be 0 (any that is free) to 65535"),
        (["--top", "5"], "--top is for the page of --html FILE: add that or leave it out"),
        (["--html", "a", "--export-decisions", "b"], "--html and --export-decisions are two"),
        (["--export-decisions", str(tmp_path / "d.csv")], "no decisions yet; make them by"),
        (["--images", str(tmp_path / "nowhere")], "the folder of the report's images is not"),
    ):
        done = CliRunner().invoke(app, ["review", str(report), "--no-open", *options])
        assert done.exit_code == 2 and problem in done.stderr, done.stderr
        assert len(done.stderr.splitlines()) == 1
    assert sorted(os.listdir(tmp_path)) == ["images", "report.csv", "report.meta.json"]


def test_decisions_are_exported_as_csv_that_reads_back(tmp_path):
    from typer.testing import CliRunner

    from labelclean.cli import app

    report = simple_review(tmp_path)
    session = open_review(report).session
    session.decide([0, 3], "accept")
    session.close()
    out = tmp_path / "decisions.csv"
    command = ["review", str(report), "--export-decisions", str(out)]
    done = CliRunner().invoke(app, command)
    assert (done.exit_code, done.stdout) == (0, f"2 decisions in {out}\n")
    assert read_decisions(out) == read_decisions(decisions_path(report))
    assert CliRunner().invoke(app, command).exit_code == 2
    assert CliRunner().invoke(app, [*command, "--force"]).exit_code == 0
