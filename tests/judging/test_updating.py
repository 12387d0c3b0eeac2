"""Decisions change verdicts: of what is alike, of the same pair of labels, of copies."""

from __future__ import annotations

import numpy as np
import pytest

from labelclean.judging.updating import ABSENT, Beliefs, UpdateConfig, Updater

CAT, DOG, FOX = 0, 1, 2
NOBODY = np.empty(0, np.int64)


def beliefs_of(chance, given=CAT, other=DOG, classes=3, group=None) -> Beliefs:
    chance = np.asarray(chance, dtype=np.float64)
    count = len(chance)
    is_issue = chance >= 0.5
    given, other = np.full(count, given), np.full(count, other)
    return Beliefs(
        given=given,
        suggested=np.where(is_issue, other, given),
        second=np.where(is_issue, given, other),
        chance=chance,
        sure=np.where(is_issue, chance * 0.8, 1 - chance),
        is_issue=is_issue,
        group=np.arange(count) if group is None else np.asarray(group),
        num_classes=classes,
    )


def clouds(*sizes: int) -> np.ndarray:
    """Features of groups of images that are alike: one axis for each group."""
    generator = np.random.default_rng(0)
    features = generator.normal(scale=0.1, size=(sum(sizes), len(sizes)))
    for k, size in enumerate(sizes):
        features[sum(sizes[:k]) :][:size, k] += 1
    return features


def test_without_a_decision_nothing_changes():
    chance = np.array([0.9, 0.6, 0.3, 0.02])
    beliefs = beliefs_of(chance)
    updated = Updater(clouds(2, 2), beliefs).update(NOBODY, NOBODY)
    np.testing.assert_allclose(updated.chance, chance, atol=1e-5)
    np.testing.assert_array_equal(updated.suggested, beliefs.suggested)
    np.testing.assert_allclose(updated.sure, beliefs.sure, atol=1e-5)
    assert updated.noise_rate == pytest.approx(chance.mean(), abs=1e-5)


def test_what_is_like_a_kept_image_becomes_less_suspicious_and_the_rest_much_less_so():
    chance = np.full(60, 0.7)
    updater = Updater(clouds(30, 30), beliefs_of(chance), UpdateConfig(spread=1e-3))
    kept = np.arange(6)
    updated = updater.update(kept, np.full(6, CAT))
    change = updated.chance - chance
    assert change[6:30].max() < -0.02
    assert abs(change[30:]).max() < abs(change[6:30]).min() / 2


def test_what_is_like_an_accepted_image_gets_its_label_as_suggestion():
    chance = np.full(60, 0.55)
    updater = Updater(clouds(30, 30), beliefs_of(chance))
    updated = updater.update(np.arange(8), np.full(8, FOX))
    assert set(updated.suggested[8:30]) == {FOX}
    assert set(updated.suggested[30:]) == {DOG}


def test_a_pair_that_is_often_kept_is_trusted_more_wherever_it_stands():
    chance = np.full(40, 0.8)
    beliefs = beliefs_of(chance)
    beliefs.suggested[20:] = FOX  # another pair
    features = np.random.default_rng(0).normal(size=(40, 3))
    updater = Updater(features, beliefs, UpdateConfig(strength=0, spread=1.0))
    updated = updater.update(np.arange(5), np.full(5, CAT))
    assert updated.chance[5:20].max() < 0.7
    assert updated.chance[5] < updated.chance[20] < 0.8


def test_the_shift_of_a_pair_is_the_most_probable_one():
    """Against a grid search of the posterior, with one pair and so one sum of two equal shifts."""
    config = UpdateConfig(strength=0, spread=0.7)
    updater = Updater(np.zeros((9, 2)), beliefs_of(np.full(9, 0.8)), config)
    updated = updater.update(np.arange(4), np.array([CAT, CAT, CAT, DOG]))
    shifts = np.linspace(-4, 4, 80_001)
    logit = np.log(0.8 / 0.2) + shifts
    wrong = 1 / (1 + np.exp(-logit))
    # Half of the shift is of the label, half of the pair: each is normal with deviation 0.7.
    log_posterior = 3 * np.log(1 - wrong) + np.log(wrong) - 2 * (shifts / 2) ** 2 / (2 * 0.49)
    best = wrong[log_posterior.argmax()]
    np.testing.assert_allclose(updated.chance[4:], best, atol=1e-3)


def test_a_copy_of_a_decided_image_has_its_label():
    beliefs = beliefs_of(np.array([0.6, 0.2, 0.7, 0.2]), group=[0, 0, 2, 2])
    updated = Updater(clouds(4), beliefs).update(np.array([0, 2]), np.array([FOX, CAT]))
    assert updated.chance[[1, 3]] == pytest.approx([0.97, 0.03])
    assert updated.suggested[[1, 3]].tolist() == [FOX, CAT]


def test_the_noise_rate_counts_decisions_as_certain():
    updater = Updater(
        clouds(4), beliefs_of([0.9, 0.9, 0.1, 0.1]), UpdateConfig(strength=0, spread=1e-6)
    )
    updated = updater.update(np.array([0, 1]), np.array([CAT, ABSENT]))
    assert updated.noise_rate == pytest.approx((0 + 1 + 0.1 + 0.1) / 4)


def test_rows_without_features_or_without_a_verdict_stay_as_they_are():
    beliefs = beliefs_of([0.9, 0.8, np.nan, 0.3])
    beliefs.given[1] = FOX  # another label: no shift of its pair either
    features = clouds(4).astype(np.float16)
    features[1] = np.nan
    updated = Updater(features, beliefs).update(np.array([0]), np.array([CAT]))
    assert updated.chance[1] == 0.8 and np.isnan(updated.chance[2])
    assert updated.suggested[1] == beliefs.suggested[1]
    assert updated.sure[1] == beliefs.sure[1]
    assert updated.chance[3] < 0.3
