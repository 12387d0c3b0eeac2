"""The list is ranked again from the decisions, while the person goes on."""

from __future__ import annotations

import threading

import numpy as np
import pytest
from review_data import (
    TOKEN,
    open_grid,
    open_review,
    report_of,
    row,
    served,
    simple_review,
    wait_to_hear,
    write_images,
)

from labelclean.errors import ReportError
from labelclean.review.pages import NO_LABEL
from labelclean.review.relearning import EVERY
from labelclean.review.rescored import Rescored, reordered
from labelclean.review.session import AT_HAND

COUNT = 40


def rescored(score, suggested=1, noise_rate=0.09) -> Rescored:
    return Rescored(
        label_score=np.asarray(score, dtype=np.float64),
        issue_probability=1 - np.asarray(score),
        is_issue=np.asarray(score) < 0.5,
        suggested=np.full(len(score), suggested),
        suggested_probability=1 - np.asarray(score),
        second=np.full(len(score), NO_LABEL),
        noise_rate=noise_rate,
    )


class Relearn:
    """Turns the order round, and keeps what it was asked."""

    def __init__(self) -> None:
        self.asked: list[tuple[list[int], list[int]]] = []
        self.may_go = threading.Event()
        self.may_go.set()

    def __call__(self, rows, labels) -> Rescored:
        self.asked.append((rows.tolist(), labels.tolist()))
        self.may_go.wait(10)
        return rescored(np.linspace(0.9, 0.1, COUNT))


@pytest.fixture
def relearn():
    return Relearn()


@pytest.fixture
def review(tmp_path, relearn):
    opened = open_review(simple_review(tmp_path, COUNT), relearn=relearn)
    opened.client.get(f"/?token={TOKEN}")
    yield opened
    opened.session.close()


def learned(review, generation: int) -> dict[str, object]:
    """The state of learning once there is that ranking."""
    for _ in range(500):
        state = review.client.get("/api/states", params={"since": -1}).json()["learning"]
        if state["generation"] >= generation and not state["isRunning"]:
            return state
        threading.Event().wait(0.01)
    raise AssertionError(f"no ranking {generation}")


def test_the_undecided_are_ranked_again_and_all_up_to_the_images_at_hand_stays(review):
    review.decide([0, 2], "accept")
    review.decide([3], "keep")
    answer = review.post("/api/learn", {"focus": 5}).json()
    assert answer["learning"]["generation"] in (0, 1)
    state = learned(review, 1)
    stays = 5 + AT_HAND
    expected = [*range(stays + 1), *range(COUNT - 1, stays, -1)]
    assert review.rows(size=COUNT) == expected
    assert state["noise"] == 0.09 and state["learned"] == 3 and state["problem"] == ""


def test_what_was_decided_keeps_its_verdict_and_the_others_get_the_new_one(review):
    review.decide([0], "keep")
    review.post("/api/learn", {"focus": 1})
    learned(review, 1)
    cells = {each["row"]: each for each in review.client.get("/api/rows").json()["rows"]}
    assert [cells[row]["score"] for row in (0, 1)] == [0.0, 0.01]
    assert cells[COUNT - 1]["score"] == pytest.approx(0.1) and cells[COUNT - 1]["isIssue"]
    assert not cells[1 + AT_HAND + 1]["isIssue"]


def test_learning_knows_what_each_decision_says_of_the_label(review, relearn):
    review.decide([0], "accept")
    review.decide([1], "keep")
    review.decide([2], "other", 2)
    review.decide([3], "exclude")
    review.decide([4], "unsure")
    review.post("/api/learn", {"focus": None})
    learned(review, 1)
    cat, dog, fox = 0, 1, 2
    assert relearn.asked == [([0, 1, 2, 3], [dog, fox, fox, NO_LABEL])]
    assert cat not in relearn.asked[0][1]


def test_every_ten_decisions_the_list_is_ranked_again_by_itself(review, relearn):
    for k in range(EVERY - 1):
        review.decide([k], "accept")
    assert relearn.asked == []
    review.decide([EVERY - 1], "accept")
    learned(review, 1)
    review.decide([20], "unsure")  # says nothing of the label
    assert len(relearn.asked) == 1


def test_the_answer_to_a_decision_does_not_wait_for_the_ranking(review, relearn):
    relearn.may_go.clear()
    review.decide(list(range(EVERY)), "accept")
    states = review.client.get("/api/states", params={"since": -1}).json()
    assert states["learning"]["isRunning"]
    review.decide([EVERY], "accept")  # meanwhile
    relearn.may_go.set()
    learned(review, 1)
    cells = review.client.get("/api/rows").json()["rows"]
    # What was decided while the ranking ran keeps its place.
    assert [each["row"] for each in cells[EVERY : EVERY + 2]] == [EVERY, COUNT - 1]


def test_images_that_moved_into_the_next_ones_are_counted(tmp_path):
    scores = np.full(150, 0.9)
    scores[[140, 145, 149]] = 0.01
    opened = open_review(
        simple_review(tmp_path, 150), relearn=lambda rows, labels: rescored(scores)
    )
    opened.client.get(f"/?token={TOKEN}")
    opened.decide([0], "accept")
    opened.post("/api/learn", {"focus": 1})
    assert learned(opened, 1)["moved"] == 3
    opened.session.close()


def test_a_problem_of_learning_is_said_and_the_order_stays(tmp_path):
    def broken(rows, labels):
        raise ReportError("embeddings.npy: is gone")

    opened = open_review(simple_review(tmp_path, 12), relearn=broken)
    opened.client.get(f"/?token={TOKEN}")
    opened.decide([3], "accept")
    opened.post("/api/learn", {"focus": 0})
    assert learned(opened, 0)["problem"] == "embeddings.npy: is gone"
    assert opened.rows() == list(range(12))
    opened.session.close()


def test_without_features_or_decisions_learning_is_refused(tmp_path, review):
    refused = review.post("/api/learn", {"focus": 0})
    assert (refused.status_code, "decide on an image first" in refused.text) == (400, True)
    (tmp_path / "other").mkdir()
    opened = open_review(simple_review(tmp_path / "other"))
    opened.client.get(f"/?token={TOKEN}")
    refused = opened.post("/api/learn", {"focus": 0})
    assert (refused.status_code, "kept no features" in refused.text) == (400, True)
    assert 'data-command="learn"' not in opened.client.get("/").text
    opened.session.close()


def test_rows_that_are_free_fill_the_places_between_fixed_ones():
    order = np.array([4, 2, 0, 1, 3])
    is_fixed = np.array([True, False, False, True, False])  # 0 and 3
    score = np.array([0.0, 0.1, 0.5, 0.0, np.nan])
    assert reordered(order, is_fixed, score).tolist() == [1, 2, 0, 4, 3]


@pytest.fixture
def clustered(tmp_path):
    """100 images in two clouds of features; in one, labels that the report believes are wrong."""
    names = [f"{k:03d}.png" for k in range(100)]
    write_images(tmp_path / "images", names)
    rows = [row(name, "cat", "dog", 0.01 + 0.003 * k) for k, name in enumerate(names[:40])]
    rows += [row(name, "cat", "cat", 0.6 + 0.001 * k) for k, name in enumerate(names[40:])]
    report_of(rows, tmp_path / "images").write(tmp_path / "report.csv")
    features = np.random.default_rng(0).normal(scale=0.1, size=(100, 4))
    features[:40, 0] += 1
    features[80:, 0] += 1  # like those that look wrong, and judged right
    (tmp_path / "report.run").mkdir()
    np.save(tmp_path / "report.run" / "embeddings.npy", features.astype(np.float16))
    return tmp_path / "report.csv"


def test_ten_decisions_in_the_browser_rank_again_and_the_current_image_stays(page, clustered):
    with served(clustered) as (address, _):
        open_grid(page, address)
        assert page.inner_text("#learning-text") == "after 10 decisions"
        page.select_option("[name=verdict]", "")
        page.wait_for_function("() => document.querySelectorAll('.thumb').length === 60")
        page.focus(".thumb.in-focus")
        for key in "aaaaaaaaaa":
            page.keyboard.press(key)
        page.wait_for_function(
            "() => document.querySelector('#learning-text').textContent.includes('moved up')"
        )
        page.wait_for_selector("[aria-busy=false]")
        assert page.inner_text("#name") == "010.png"
        assert page.evaluate("document.activeElement.id") == "card-10"
        wait_to_hear(page, "Learned from 10 decisions: 20 moved up")
        names = [card.text_content()[:7] for card in page.query_selector_all(".thumb")]
        assert names[:11] == [f"{k:03d}.png" for k in range(11)]
        like_wrong = [name for name in names if name >= "080"]
        assert len(like_wrong) > 15  # of 20; before, 40 others stood before them
        page.keyboard.press("l")
        wait_to_hear(page, "Learned from 10 decisions: ", times=2)
        assert page.inner_text("#name") == "010.png"


def test_a_review_that_is_opened_again_goes_on_with_what_it_learned(page, clustered):
    session = open_review(clustered).session
    session.decide(list(range(10)), "accept")
    session.close()
    with served(clustered) as (address, _):
        open_grid(page, address)
        page.wait_for_function(
            "() => document.querySelector('#learning-text').textContent.includes('moved up')"
        )
        page.select_option("[name=verdict]", "")
        page.wait_for_function("() => document.querySelectorAll('.thumb').length === 60")
        names = [card.text_content()[:7] for card in page.query_selector_all(".thumb")]
        assert len([name for name in names if name >= "080"]) > 15


def test_learning_before_any_decision_says_what_to_do(page, clustered):
    with served(clustered) as (address, _):
        open_grid(page, address)
        page.get_by_role("button", name="Learn").click()
        page.wait_for_selector("#banner:not([hidden])")
        assert page.inner_text("#banner").startswith("decide on an image first")
