"""The plan: what is left after some images, targets, decisions so far, the interval."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from report_data import meta_of

from labelclean.report.report import COLUMNS, Report
from labelclean.report.review_plan import make_plan, plan_text, shifted


def report_of(probabilities, interval=(0.0, 1.0), names=()):
    """Images 0, 1, ... or of these names with these issue probabilities; None: not judged."""
    values = [math.nan if p is None else p for p in probabilities]
    known = [p for p in probabilities if p is not None]
    meta = meta_of(noise_rate=sum(known) / max(len(known), 1), noise_rate_interval=interval)
    count = len(values)
    cells = {
        "image": [names[k] if k < len(names) else str(k) for k in range(count)],
        "is_label_issue": [p > 0.5 for p in values],
        "label_score": [1 - p for p in values],
        "issue_probability": values,
        "suggested_probability": values,
        "margin": values,
        "no_class_score": values,
        "status": ["ok"] * count,
    }
    nothing = ["cat"] * count
    columns = {name: cells.get(name, nothing) for name in COLUMNS}
    return Report.from_columns(columns, meta)


def at(plan, images):
    (step,) = [step for step in plan.steps if step.images == images]
    return step


def test_the_noise_left_is_the_mean_probability_of_what_was_not_looked_at():
    plan = make_plan(report_of([0.1, 0.9, 0.5, 0.3, None]), budget=2)
    assert (plan.judged, plan.left_out, plan.waiting) == (4, 1, 4)
    assert at(plan, 0).noise == pytest.approx(1.8 / 4)
    step = at(plan, 2)  # 0.9 and 0.5 go first
    assert step.found == pytest.approx(1.4)
    assert step.noise == pytest.approx(0.4 / 4)
    assert step.last_probability == 0.5


def test_a_budget_larger_than_what_is_there_stops_at_the_last_image():
    plan = make_plan(report_of([0.1, 0.9]), budget=50)
    assert [step.images for step in plan.steps] == [0, 2]
    assert at(plan, 2).noise == 0


def test_the_images_for_a_target_are_as_few_as_simulated_corrections_need():
    rng = np.random.default_rng(0)
    probabilities = rng.beta(0.2, 1.0, 300).round(6)
    plan = make_plan(report_of(probabilities.tolist()), target_noise=0.02)
    left = sorted(probabilities)
    needed = 0
    while sum(left) / 300 > 0.02:
        left.pop()
        needed += 1
    assert plan.target is not None
    assert plan.target.images == needed
    assert at(plan, needed).noise <= 0.02


def test_what_the_plan_expects_comes_true_where_the_probabilities_are_calibrated():
    rng = np.random.default_rng(1)
    probabilities = rng.beta(0.3, 1.0, 20_000).round(6)
    is_wrong = rng.random(20_000) < probabilities
    plan = make_plan(report_of(probabilities.tolist()))
    order = np.argsort(-probabilities)
    for step in plan.steps:
        assert is_wrong[order[step.images :]].sum() / 20_000 == pytest.approx(step.noise, abs=0.005)


def test_settled_images_are_neither_looked_at_again_nor_wrong():
    plan = make_plan(report_of([0.9, 0.8, 0.2, 0.1]), budget=1, settled={"0", "1"})
    assert (plan.settled, plan.waiting) == (2, 2)
    assert at(plan, 0).noise == pytest.approx(0.3 / 4)
    assert at(plan, 1).last_probability == 0.2


def test_excluded_images_are_no_part_of_the_whole():
    plan = make_plan(report_of([0.9, 0.8, 0.2, 0.1]), settled={"0", "1"}, excluded={"0", "1"})
    assert (plan.settled, plan.excluded) == (2, 2)
    assert at(plan, 0).noise == pytest.approx(0.3 / 2)


def test_a_target_below_what_the_unsure_ones_leave_is_out_of_reach():
    report = report_of([0.9, 0.5, 0.2, 0.1])
    plan = make_plan(report, target_noise=0.1, unsure={"1"})
    assert plan.target is not None and plan.target.images is None
    assert plan.steps[-1].images == plan.waiting == 3
    assert plan.steps[-1].noise == pytest.approx(0.5 / 4)
    last = plan_text(plan).splitlines()[-1]
    assert last == (
        "10.00% is out of reach: 12.50% remain when all have been looked at, in the images "
        "marked unsure"
    )


def test_a_target_that_is_met_already_takes_no_image():
    plan = make_plan(report_of([0.01, 0.02]), target_noise=0.5)
    assert plan.target is not None and plan.target.images == 0


def test_decisions_on_images_whose_names_are_no_unicode_count():
    plan = make_plan(report_of([0.9, 0.1], names=("\udcff", "b")), settled={"\udcff"})
    assert (plan.settled, plan.waiting) == (1, 1)


def test_decisions_on_images_of_no_such_name_change_nothing():
    report = report_of([0.9, 0.1, None])
    assert make_plan(report, settled={"x", "2"}, unsure={"y"}) == make_plan(report)


def test_the_interval_is_that_of_the_noise_rate_before_and_closes_to_nothing_at_the_end():
    rng = np.random.default_rng(2)
    plan = make_plan(report_of(rng.beta(0.3, 1, 500).tolist(), interval=(0.15, 0.35)))
    assert plan.steps[0].noise_interval == pytest.approx((0.15, 0.35), abs=1e-6)
    assert plan.steps[-1].noise_interval == pytest.approx((0, 0), abs=1e-9)
    for step in plan.steps:
        low, high = step.noise_interval
        assert low <= step.noise <= high


def test_the_ends_of_the_interval_differ_by_one_step_of_log_odds():
    probability = np.array([0.2, 0.5, 0.7])
    low, high = shifted(probability, (0.3, 0.6))

    def odds(p):
        return np.log(p / (1 - p))

    assert low.mean() == pytest.approx(0.3) and high.mean() == pytest.approx(0.6)
    assert np.ptp(odds(low) - odds(probability)) < 1e-9
    assert np.ptp(odds(high) - odds(probability)) < 1e-9


def test_an_interval_beside_the_probabilities_still_holds_them():
    probability = np.array([0.2, 0.5, 0.7])
    low, high = shifted(probability, (0.1, 0.2))
    assert low.mean() == pytest.approx(0.1) and np.array_equal(high, probability)
    low, high = shifted(probability, (0.8, 0.9))
    assert high.mean() == pytest.approx(0.9) and np.array_equal(low, probability)


def test_probabilities_of_exactly_0_and_1_still_get_an_interval():
    low, high = shifted(np.array([0.0, 0.0, 1.0, 1.0]), (0.4, 0.6))
    assert low.mean() == pytest.approx(0.4, abs=1e-5)
    assert high.mean() == pytest.approx(0.6, abs=1e-5)


def test_more_images_are_needed_at_the_upper_end_of_the_interval():
    rng = np.random.default_rng(3)
    report = report_of(rng.beta(0.3, 1, 500).tolist(), interval=(0.15, 0.35))
    target = make_plan(report, target_noise=0.05).target
    assert target is not None and target.images is not None and target.images_at_most is not None
    assert target.images < target.images_at_most


def test_without_a_wish_the_budgets_are_round_numbers_from_a_small_part_to_all():
    plan = make_plan(report_of(np.linspace(0, 0.9, 700).tolist()))
    assert [step.images for step in plan.steps] == [0, 2, 5, 10, 20, 50, 100, 200, 500, 700]


@pytest.mark.parametrize("probabilities", [[], [None, None], [0.3]])
def test_reports_with_next_to_nothing_have_a_plan(probabilities):
    plan = make_plan(report_of(probabilities), target_noise=0.1)
    assert json.loads(json.dumps(plan.to_json(), allow_nan=False)) == plan.to_json()
    assert plan_text(plan)


def test_the_plan_in_words():
    plan = make_plan(
        report_of([0.9, 0.5, 0.2, 0.1, None], interval=(0.425, 0.425)),
        budget=1,
        target_noise=0.1,
        settled={"3"},
        excluded={"3"},
    )
    assert plan_text(plan) == (
        "labels:  4 judged, 1 left out\n"
        "so far:  1 decided (1 of them excluded), 3 to look at\n"
        "\n"
        "   look at  wrong found   labels still wrong       last one wrong\n"
        "         0            0   53.33% (53.33% to 53.33%)\n"
        "         1            1   23.33% (23.33% to 23.33%)          90.0%\n"
        "         2            1   6.67% (6.67% to 6.67%)            50.0%\n"
        "\n"
        "10.00% or less: look at 2 images, 2 to be safe (upper end of the interval)"
    )
