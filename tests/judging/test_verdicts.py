"""Verdicts and the noise model, on simulated networks of which the truth is known."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from simulated_networks import decide, said, symmetric

from labelclean.config import VerdictConfig
from labelclean.data import noise
from labelclean.judging import noise_model
from labelclean.judging.candidates import gather_candidates
from labelclean.judging.transitions import FullTransition
from labelclean.judging.tuned import NoiseModelConfig
from labelclean.predictions import Predictions
from labelclean.report import metrics


def simulated(
    count: int, transition: np.ndarray, *, sureness: float = 4.0, gain: float = 0.0, seed: int = 0
) -> tuple[np.ndarray, np.ndarray, Predictions]:
    """truth, given labels, and what a network says: the truth is drawn from its softmax.

    sureness  how far its logits are spread
    gain      what a given label's logit has on top, for having been trained on
    """
    rng = np.random.default_rng(seed)
    num_classes = len(transition)
    logits = sureness * rng.normal(0, 1, (count, num_classes))
    truth = (logits + rng.gumbel(0, 1, logits.shape)).argmax(axis=1)
    given = noise.by_matrix(truth, transition, np.random.Generator(np.random.PCG64(seed)))
    logits = 0.7 * logits  # a network is too unsure or too sure by some factor
    logits[np.arange(count), given] += gain
    return truth, given, said(logits, given)


@pytest.mark.parametrize("rate", [0.0, 0.1, 0.3, 0.6])
@pytest.mark.parametrize("gain", [0.0, 1.5])
def test_noise_rate_and_calibration_are_those_of_the_simulation(rate: float, gain: float):
    truth, given, outputs = simulated(4000, symmetric(10, rate), gain=gain)
    decision = decide(given, outputs, 10)
    is_noisy = given != truth
    # how near it comes on real networks is measured by examples/benchmark/filter_quality.py
    assert decision.noise_rate == pytest.approx(is_noisy.mean(), abs=0.12)
    low, high = decision.noise_rate_interval
    assert low - 0.03 <= is_noisy.mean() <= high + 0.03
    ece = metrics.expected_calibration_error(decision.issue_probability, is_noisy)
    assert ece <= 0.12


def test_confused_pairs_come_out_in_the_matrix_and_by_name():
    transition = noise.cifar10_asymmetric(0.4)
    truth, given, outputs = simulated(6000, transition)
    decision = decide(given, outputs, 10)
    assert metrics.transition_error(decision.transition_matrix, given, truth) < 0.06
    found = {(pair.given, pair.suggested) for pair in decision.confusable_pairs[:5]}
    assert found == {(1, 9), (0, 2), (7, 4), (5, 3), (3, 5)}
    np.testing.assert_allclose(decision.transition_matrix.sum(axis=1), 1)


def test_the_pairs_are_counted_among_the_issues_with_their_share_of_the_given_label():
    _, given, outputs = simulated(2000, symmetric(3, 0.4))
    decision = decide(given, outputs, 3)
    issues = decision.is_label_issue
    counted = Counter(zip(given[issues].tolist(), decision.suggested[issues].tolist(), strict=True))
    assert {(p.given, p.suggested): p.count for p in decision.confusable_pairs} == counted
    counts = [pair.count for pair in decision.confusable_pairs]
    assert len(counts) == 6 and counts == sorted(counts, reverse=True)
    for pair in decision.confusable_pairs:
        assert pair.share == pytest.approx(pair.count / (given == pair.given).sum())


def test_knowing_the_pairs_ranks_better_than_the_margin_alone():
    truth, given, outputs = simulated(6000, noise.cifar10_asymmetric(0.4), sureness=2.5)
    is_noisy = given != truth
    ours = metrics.average_precision(decide(given, outputs, 10).label_score, is_noisy)
    plain = metrics.average_precision(outputs.margin.astype(np.float64), is_noisy)
    assert ours > plain + 0.01


def test_even_noise_ranks_no_worse_than_the_margin_alone():
    truth, given, outputs = simulated(6000, symmetric(10, 0.4), sureness=2.5)
    is_noisy = given != truth
    ours = metrics.average_precision(decide(given, outputs, 10).label_score, is_noisy)
    plain = metrics.average_precision(outputs.margin.astype(np.float64), is_noisy)
    assert ours > plain - 0.005


def test_suggestions_are_mostly_the_truth_and_never_the_label_that_is_judged_wrong():
    truth, given, outputs = simulated(3000, symmetric(10, 0.3))
    decision = decide(given, outputs, 10)
    issues = decision.is_label_issue
    assert (decision.suggested[issues] != given[issues]).all()
    assert (decision.suggested[~issues] == given[~issues]).all()
    assert (decision.suggested == truth)[issues & (given != truth)].mean() > 0.7
    assert (decision.second != decision.suggested).all()


def test_issue_probability_falls_as_label_score_rises():
    _, given, outputs = simulated(2000, symmetric(5, 0.2))
    decision = decide(given, outputs, 5)
    order = np.argsort(decision.label_score)
    assert (np.diff(decision.issue_probability[order]) <= 1e-12).all()
    assert len(np.unique(decision.label_score)) == 2000  # ties are in an order too


@pytest.mark.parametrize(
    ("rule", "is_issue"),
    [
        ({}, lambda d, o: d.issue_probability >= d.flagged_from),
        ({"threshold": 0.9}, lambda d, o: d.issue_probability >= 0.9),
        ({"gamma": 0.3}, lambda d, o: o.epoch_p_given < 0.3),
        ({"budget": 17}, lambda d, o: d.label_score <= np.sort(d.label_score)[16]),
    ],
)
def test_a_verdict_is_its_rule(rule: dict[str, Any], is_issue):
    _, given, outputs = simulated(1000, symmetric(4, 0.2))
    decision = decide(given, outputs, 4, verdict=VerdictConfig(**rule))
    np.testing.assert_array_equal(decision.is_label_issue, is_issue(decision, outputs))


@pytest.mark.parametrize(("sureness", "rate"), [(1.5, 0.1), (2.5, 0.3), (6.0, 0.2)])
def test_unless_told_otherwise_the_expected_f1_is_the_best(sureness: float, rate: float):
    _, given, outputs = simulated(2000, symmetric(6, rate), sureness=sureness)
    decision = decide(given, outputs, 6)
    chance = decision.issue_probability
    assert decision.flagged_from is not None and 0.35 <= decision.flagged_from <= 0.5

    def expected_f1(limit: float) -> float:
        return 2 * chance[chance >= limit].sum() / ((chance >= limit).sum() + chance.sum())

    limits = [limit for limit in np.unique(chance) if limit >= 0.35]
    assert expected_f1(decision.flagged_from) == max(map(expected_f1, limits))


@pytest.mark.parametrize("rule", [{"budget": 3}, {"gamma": 0.5}, {"target_precision": 0.9}])
def test_other_rules_have_no_probability_from_which_on_labels_are_flagged(rule: dict[str, Any]):
    _, given, outputs = simulated(300, symmetric(4, 0.2))
    assert decide(given, outputs, 4, verdict=VerdictConfig(**rule)).flagged_from is None


def test_a_target_precision_flags_as_many_rows_as_keep_it():
    _, given, outputs = simulated(1000, symmetric(4, 0.2), sureness=1.5)
    decision = decide(given, outputs, 4, verdict=VerdictConfig(target_precision=0.9))
    best = 0
    ranked = decision.issue_probability[np.argsort(decision.label_score)]
    for count in range(1, 1001):
        if ranked[:count].mean() >= 0.9:
            best = count
    assert decision.is_label_issue.sum() == best > 0


def test_rows_without_image_or_label_are_not_judged():
    _, given, outputs = simulated(300, symmetric(4, 0.2))
    given[3] = -1
    outputs.p_given[7] = outputs.margin[7] = np.nan
    outputs.top_classes[7] = -1
    decision = decide(given, outputs, 4)
    for row in (3, 7):
        assert np.isnan(decision.label_score[row]) and np.isnan(decision.issue_probability[row])
        assert not decision.is_label_issue[row]
    assert decision.suggested[3] == outputs.top_classes[3, 0]
    assert decision.suggested[7] == given[7]


def test_nothing_to_judge_is_no_error():
    _, given, outputs = simulated(20, symmetric(3, 0.0))
    decision = decide(np.full(20, -1), outputs, 3)
    assert np.isnan(decision.label_score).all() and decision.noise_rate == 0


def test_rows_that_were_not_trained_on_are_judged_without_the_gain_of_training():
    truth, given, outputs = simulated(4000, symmetric(10, 0.3), gain=1.5)
    _, _, untrained = simulated(4000, symmetric(10, 0.3), gain=0.0)
    trained = np.arange(4000) % 2 == 0
    rows = np.flatnonzero(~trained)
    outputs = outputs.replaced(rows, untrained)
    outputs = replace(
        outputs,
        epoch_p_given=np.where(trained, outputs.epoch_p_given, np.nan).astype(np.float32),
        epoch_margin=np.where(trained, outputs.epoch_margin, np.nan).astype(np.float32),
    )
    probability = decide(given, outputs, 10).issue_probability
    for part in (trained, ~trained):
        assert probability[part].mean() == pytest.approx((given != truth)[part].mean(), abs=0.04)


@pytest.mark.parametrize(("count", "classes"), [(50, 3), (400, 2), (3000, 100)])
def test_few_rows_two_classes_and_many_classes_work(count: int, classes: int):
    truth, given, outputs = simulated(count, symmetric(classes, 0.2))
    decision = decide(given, outputs, classes)
    is_noisy = given != truth
    assert metrics.average_precision(decision.label_score, is_noisy) > 0.8
    low, high = decision.noise_rate_interval
    assert low <= is_noisy.mean() <= high
    assert decision.noise_rate == pytest.approx(is_noisy.mean(), abs=0.1 if count > 100 else 0.2)


def test_a_class_that_is_never_given_or_alone_does_no_harm():
    truth, given, outputs = simulated(500, symmetric(4, 0.1))
    given[given == 2] = 1
    given[0] = 2
    assert np.isfinite(decide(given, outputs, 4).label_score).all()


def test_the_same_seed_decides_the_same():
    _, given, outputs = simulated(500, symmetric(4, 0.2))
    first, second = decide(given, outputs, 4), decide(given, outputs, 4)
    np.testing.assert_array_equal(first.label_score, second.label_score)
    assert first.noise_rate_interval == second.noise_rate_interval


def test_the_posterior_is_bayes_rule_in_plain_loops():
    _, given, outputs = simulated(40, symmetric(5, 0.3), gain=1.0)
    transition = noise.mapping_matrix([("a", "b", 0.3), ("c", "d", 0.2)], "abcde")
    transition = 0.9 * transition + 0.1 * symmetric(5, 0.5)
    config = NoiseModelConfig(spread=0.0)  # one sharpness for all rows
    model = noise_model.NoiseModel(
        gain=0.7, sharpness=1.3, transition=FullTransition(transition), config=config
    )
    candidates = gather_candidates(
        given, outputs.p_given, outputs.top_classes, outputs.top_probs, 5, np.ones(40, bool)
    )
    found = noise_model.posterior(model, candidates).candidates[:, 0]
    for row, label in enumerate(given.tolist()):
        p = dict(zip(outputs.top_classes[row].tolist(), outputs.top_probs[row], strict=True))
        score = {k: np.log(float(p[k]) + 1e-5 / 5) - 0.7 * (k == label) for k in range(5)}
        prior = {k: np.exp(1.3 * score[k]) for k in range(5)}
        joint = {k: prior[k] * transition[k, label] for k in range(5)}
        assert found[row] == pytest.approx(joint[label] / sum(joint.values()), rel=1e-4)


def test_what_ranks_the_rows_leaves_their_number_and_calibration_to_the_predictions():
    truth, given, outputs = simulated(3000, symmetric(6, 0.2), sureness=2.0)
    logits = np.zeros((3000, 6))
    np.put_along_axis(logits, outputs.top_classes, np.log(outputs.top_probs), axis=1)
    logits[np.arange(3000), truth] += 1.5  # it learned from cleaner labels
    better = said(logits, given)
    alone = decide(given, outputs, 6)
    ranked = decide(given, replace(outputs, ranking=better), 6)
    is_noisy = given != truth
    assert ranked.noise_rate == pytest.approx(alone.noise_rate, abs=1e-6)
    assert ranked.noise_rate_interval == alone.noise_rate_interval
    np.testing.assert_allclose(ranked.transition_matrix, alone.transition_matrix)
    before, after = (
        metrics.average_precision(each.label_score, is_noisy) for each in (alone, ranked)
    )
    assert after > before + 0.05
    wrong = ranked.is_label_issue & is_noisy
    assert (ranked.suggested[wrong] == truth[wrong]).mean() > 0.8
    ece = metrics.expected_calibration_error(ranked.issue_probability, is_noisy)
    assert ece <= 0.12


def test_replaced_rows_are_replaced_in_what_ranks_them_too():
    _, given, outputs = simulated(30, symmetric(4, 0.2))
    other = simulated(30, symmetric(4, 0.2), seed=1)[2]
    ranking = simulated(30, symmetric(4, 0.2), seed=2)[2]
    some = np.arange(10)
    for others, expected in ((other, other), (replace(other, ranking=outputs), outputs)):
        mixed = replace(outputs, ranking=ranking).replaced(some, others)
        np.testing.assert_array_equal(mixed.p_given[some], other.p_given[some])
        np.testing.assert_array_equal(mixed.ranking.p_given[some], expected.p_given[some])
        np.testing.assert_array_equal(mixed.ranking.p_given[10:], ranking.p_given[10:])
