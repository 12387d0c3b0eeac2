"""Label noise: realised counts, no self-flips, unlabelled rows, reproducible bytes, statistics."""

from __future__ import annotations

from collections import Counter
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from labelclean.data import noise
from labelclean.errors import ConfigError

# Superclass of each of the 100 fine classes by number, as in the data set's own coarse_labels.
COARSE = [4, 1, 14, 8, 0, 6, 7, 7, 18, 3, 3, 14, 9, 18, 7, 11, 3, 9, 7, 11, 6, 11, 5, 10, 7, 6, 13]
COARSE += [15, 3, 15, 0, 11, 1, 10, 12, 14, 16, 9, 11, 5, 5, 19, 8, 8, 15, 13, 14, 17, 18, 10, 16]
COARSE += [4, 17, 4, 2, 0, 17, 4, 18, 17, 10, 3, 2, 12, 12, 16, 12, 1, 9, 19, 2, 10, 0, 1, 16, 12]
COARSE += [9, 13, 15, 13, 16, 19, 2, 4, 6, 19, 5, 5, 8, 19, 18, 1, 2, 15, 6, 0, 17, 8, 14, 13]

# Seed 7 on 0 1 2 3 4 0 1 2 ..., rate 0.5: benchmark noise must not change between releases.
SYMMETRIC_7 = [0, 1, 3, 0, 0, 0, 2, 2, 3, 2, 2, 0, 0, 0, 4, 1, 1, 2, 3, 4]
COINS_7 = [0, 1, 2, 0, 0, 0, 2, 2, 3, 2, 2, 0, 0, 0, 4, 0, 1, 2, 3, 4]
RING_7 = [0, 1, 3, 4, 0, 0, 2, 2, 3, 0, 1, 2, 3, 4, 4, 1, 1, 2, 3, 4]

percents = st.one_of(st.sampled_from([10, 25, 50, 75]), st.integers(0, 100))  # halves are common
label_arrays = st.integers(2, 6).flatmap(
    lambda c: st.tuples(
        st.just(c),
        st.lists(st.integers(-1, c - 1), max_size=80).map(lambda x: np.array(x, dtype=np.int64)),
    )
)


def seeded(seed: int = 0) -> np.random.Generator:
    return np.random.Generator(np.random.PCG64(seed))


def random_matrix(c: int, seed: int) -> NDArray[np.float64]:
    return np.random.default_rng(seed).dirichlet(np.ones(c), size=c)


def ring(c: int, rate: float) -> NDArray[np.float64]:
    """Each class goes to the next, the last to the first."""
    return (1 - rate) * np.eye(c) + rate * np.roll(np.eye(c), 1, axis=1)


@given(label_arrays, percents, st.integers(0, 2**32))
def test_exact_symmetric_noise_flips_the_nearest_count_in_every_class(drawn, percent, seed):
    c, labels = drawn
    noisy = noise.symmetric(labels, c, percent / 100, seeded(seed))
    for k in range(c):
        size = int((labels == k).sum())
        wrong = int(((labels == k) & (noisy != k)).sum())
        exact = Fraction(percent, 100) * size
        assert abs(wrong - exact) <= Fraction(1, 2)
        assert exact - wrong != Fraction(-1, 2)  # half: the lower count


@given(label_arrays, st.integers(0, 2**32), st.booleans())
def test_unlabelled_rows_stay_and_every_other_label_stays_in_range(drawn, seed, exact):
    c, labels = drawn
    before = labels.copy()
    for noisy in (
        noise.symmetric(labels, c, 0.7, seeded(seed), exact),
        noise.by_matrix(labels, random_matrix(c, 1), seeded(seed), exact),
    ):
        assert noisy.dtype == np.int64
        np.testing.assert_array_equal(noisy == -1, labels == -1)
        assert ((noisy >= -1) & (noisy < c)).all()
    np.testing.assert_array_equal(labels, before)


@given(label_arrays, st.integers(0, 2**32))
def test_symmetric_noise_at_rate_one_leaves_no_label_as_it_was(drawn, seed):
    c, labels = drawn
    for exact in (True, False):
        noisy = noise.symmetric(labels, c, 1.0, seeded(seed), exact)
        assert (noisy[labels >= 0] != labels[labels >= 0]).all()


@given(label_arrays, st.integers(0, 2**32), st.integers(0, 2**32))
def test_exact_matrix_noise_realises_every_cell_within_one_and_every_class_in_full(drawn, s1, s2):
    c, labels = drawn
    transition = random_matrix(c, s1)
    noisy = noise.by_matrix(labels, transition, seeded(s2))
    for k in range(c):
        counts = np.bincount(noisy[labels == k], minlength=c)
        assert (np.abs(counts - (labels == k).sum() * transition[k]) < 1).all()


@given(label_arrays, st.integers(0, 2**32))
def test_the_rows_wrong_at_a_low_rate_are_among_those_of_a_higher_rate(drawn, seed):
    c, labels = drawn
    for exact in (True, False):
        low = noise.symmetric(labels, c, 0.2, seeded(seed), exact)
        high = noise.symmetric(labels, c, 0.6, seeded(seed), exact)
        np.testing.assert_array_equal(high[low != labels], low[low != labels])


@given(label_arrays, st.integers(0, 2**32), st.booleans())
def test_a_class_that_cannot_be_reached_is_never_given(drawn, seed, exact):
    c, labels = drawn
    transition = ring(c, 0.5)
    noisy = noise.by_matrix(labels, transition, seeded(seed), exact)
    step = (noisy - labels)[labels >= 0] % c
    assert set(step.tolist()) <= {0, 1}


@pytest.mark.parametrize("draw, expected", [(0.0, 1), (0.25, 2), (0.999, 2)])
def test_a_draw_on_the_edge_belongs_to_the_class_above_it(draw, expected):
    class Fixed:
        def random(self, size):
            return np.full(size, draw)

    transition = np.array([[0, 0.25, 0.75, 0]] * 4)  # the last class has no share: never given
    assert noise.by_matrix(np.array([3]), transition, Fixed(), exact=False).tolist() == [expected]


def test_equal_remainders_keep_the_label_then_prefer_the_lower_class():
    labels = np.full(3, 2, dtype=np.int64)
    transition = np.array([[1, 0, 0], [0, 1, 0], [0.5, 0.5, 0]])
    assert sorted(noise.by_matrix(labels, transition, seeded()).tolist()) == [0, 0, 1]
    transition[2] = [0.5, 0, 0.5]
    assert sorted(noise.by_matrix(labels, transition, seeded()).tolist()) == [0, 2, 2]
    transition[0] = [0.92, 0.01, 0.07]  # 46, 0.5 and 3.5000000000000004 of 50
    noisy = noise.by_matrix(np.zeros(50, dtype=np.int64), transition, seeded())
    assert np.bincount(noisy).tolist() == [46, 1, 3]


def test_a_whole_count_is_exact_where_the_float_product_falls_short():
    labels = np.zeros(100, dtype=np.int64)  # 0.29 * 100 is 28.999999999999996
    assert (noise.symmetric(labels, 3, 0.29, seeded()) != 0).sum() == 29
    assert (noise.by_matrix(labels, ring(3, 0.29), seeded()) == 1).sum() == 29


def test_the_noise_of_a_seed_is_the_same_on_every_machine():
    labels = np.arange(20, dtype=np.int64) % 5
    assert noise.symmetric(labels, 5, 0.5, seeded(7)).tolist() == SYMMETRIC_7
    assert noise.symmetric(labels, 5, 0.5, seeded(7), exact=False).tolist() == COINS_7
    assert noise.by_matrix(labels, ring(5, 0.5), seeded(7)).tolist() == RING_7


def test_bernoulli_noise_has_the_rate_and_spreads_evenly_over_the_other_classes():
    labels = np.full(60_000, 2, dtype=np.int64)
    noisy = noise.symmetric(labels, 4, 0.3, seeded(1), exact=False)
    shares = np.bincount(noisy, minlength=4) / len(labels)
    np.testing.assert_allclose(shares, [0.1, 0.1, 0.7, 0.1], atol=0.006)  # over 3 deviations
    assert (noisy != 2).sum() != 18_000  # coins, not a quota


def test_bernoulli_matrix_noise_has_the_shares_of_its_row():
    transition = np.array([[0.5, 0.2, 0.3], [0.0, 1.0, 0.0], [0.1, 0.0, 0.9]])
    labels = np.repeat(np.arange(3), 40_000).astype(np.int64)
    noisy = noise.by_matrix(labels, transition, seeded(2), exact=False)
    for k in range(3):
        shares = np.bincount(noisy[labels == k], minlength=3) / 40_000
        np.testing.assert_allclose(shares, transition[k], atol=0.008)


def test_exact_symmetric_noise_draws_the_wrong_class_uniformly():
    noisy = noise.symmetric(np.zeros(60_000, dtype=np.int64), 4, 0.5, seeded(3))
    np.testing.assert_allclose(np.bincount(noisy)[1:] / 30_000, 1 / 3, atol=0.01)


def test_cifar10_asymmetric_noise_moves_the_five_classes_of_the_paper_and_no_other():
    off = noise.cifar10_asymmetric(0.4) - np.diag([1, 1, 0.6, 0.6, 0.6, 0.6, 1, 1, 1, 0.6])
    moved = {(int(i), int(j)): off[i, j] for i, j in np.argwhere(np.abs(off) > 1e-12)}
    assert moved == pytest.approx({(9, 1): 0.4, (2, 0): 0.4, (4, 7): 0.4, (3, 5): 0.4, (5, 3): 0.4})


def test_cifar100_asymmetric_noise_moves_each_class_to_the_next_number_of_its_superclass():
    matrix = noise.cifar100_asymmetric(0.3)
    np.testing.assert_allclose(matrix.diagonal(), 0.7)
    for fine, coarse in enumerate(COARSE):
        group = [k for k, other in enumerate(COARSE) if other == coarse]
        following = group[(group.index(fine) + 1) % 5]
        assert matrix[fine, following] == pytest.approx(0.3)
    assert (matrix > 0).sum() == 200
    assert set(Counter(COARSE).values()) == {5}


def test_one_class_goes_to_several_by_the_rates_of_the_mapping():
    matrix = noise.mapping_matrix([("a", "b", 0.2), ("a", "c", 0.3)], ["a", "b", "c"])
    np.testing.assert_allclose(matrix, [[0.5, 0.2, 0.3], [0, 1, 0], [0, 0, 1]])


def test_a_wrong_mapping_is_one_line_that_names_every_problem():
    pairs = [("a", "x", 0.1), ("a", "a", 0.1), ("a", "b", 0.7), ("a", "b", 0.1), ("a", "c", 0.7)]
    pairs += [("b", "c", 1.5)]
    with pytest.raises(ConfigError) as caught:
        noise.mapping_matrix(pairs, ["a", "b", "c"])
    assert str(caught.value) == (
        "--mapping: there is no class 'x', but 'a', 'b', 'c'; 'a' is mapped to itself; "
        "'a' is mapped to 'b' twice; rate of 'b' to 'c' is 1.5, must be 0 to 1; "
        "'a' gives away 140 %, more than all"
    )


@pytest.mark.parametrize(
    "broken",
    [
        lambda g: noise.symmetric(np.array([0, 3]), 3, 0.1, g),
        lambda g: noise.symmetric(np.array([0, -2]), 3, 0.1, g),
        lambda g: noise.symmetric(np.array([0, 1]), 3, float("nan"), g),
        lambda g: noise.symmetric(np.array([0.0, 1.0]), 3, 0.1, g),
        lambda g: noise.by_matrix(np.array([0]), np.array([[0.5, 0.4], [0.0, 1.0]]), g),
        lambda g: noise.by_matrix(np.array([0]), np.array([[1.5, -0.5], [0.0, 1.0]]), g),
        lambda g: noise.by_matrix(np.array([0]), np.ones((2, 1)), g),
    ],
)
def test_a_broken_contract_is_a_value_error(broken):
    with pytest.raises(ValueError):
        broken(seeded())
