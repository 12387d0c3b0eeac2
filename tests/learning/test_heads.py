"""Heads on features: folds, leaving out, the linear layer that they become, and the store."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from labelclean.config import HeadConfig
from labelclean.learning import feature_view, heads
from labelclean.learning.directions import leading_directions
from labelclean.learning.feature_store import FeatureStore, features_of
from labelclean.learning.feature_view import HeadTask, fit_heads
from labelclean.learning.prediction_columns import margin
from labelclean.progress import Reporter
from labelclean.workflows.two_rounds import fit_view


def _data(count: int = 200, classes: int = 4, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, classes, count)
    values = rng.normal(0, 1, (count, 24)) + 2.5 * np.eye(24)[labels]
    return values.astype(np.float16), labels.astype(np.int64)


def _task(values: np.ndarray, labels: np.ndarray, rows: np.ndarray) -> HeadTask:
    return HeadTask(
        features=values,
        labels=labels,
        train_rows=rows,
        num_classes=int(labels.max()) + 1,
        config=HeadConfig(epochs=5, least_steps=40),
        seed=0,
        device=torch.device("cpu"),
    )


def _fit(values: np.ndarray, labels: np.ndarray, rows: np.ndarray, groups: np.ndarray):
    return fit_heads(_task(values, labels, rows), groups, "jnpl")


def test_each_row_is_left_out_once_a_repeat_and_copies_together():
    _, labels = _data()
    groups = np.arange(200) // 2 * 2
    rows = np.arange(180)
    left_out = heads.draw_folds(labels, rows, groups, folds=5, repeats=3, seed=1)
    assert left_out.shape == (200, 15)
    by_repeat = left_out[:180].reshape(180, 3, 5)
    assert (by_repeat.sum(axis=2) == 1).all()
    np.testing.assert_array_equal(by_repeat[0::2], by_repeat[1::2])
    assert left_out[180:].all()  # what is not trained on is left out of all
    sizes = by_repeat.sum(axis=0)
    assert sizes.min() >= 30 and sizes.max() <= 42


def test_what_a_row_is_said_to_be_does_not_depend_on_its_label():
    values, labels = _data()
    rows, groups = np.arange(200), np.arange(200)
    first = _fit(values, labels, rows, groups)
    other = labels.copy()
    other[7] = (labels[7] + 1) % 4
    second = _fit(values, other, rows, groups)
    said = [view.predict(rows[7:8], labels, 0) for view in (first, second)]
    # one label of 160 differs in what the others' heads learned; its own heads never saw it
    for part, near in (("p_given", 0.2), ("margin", 0.5)):
        one, two = (float(getattr(each, part)[7]) for each in said)
        assert one == pytest.approx(two, abs=near)
    seen, given = torch.from_numpy(values[7:8]).float(), torch.from_numpy(labels[7:8])
    with torch.no_grad():
        one, two = (float(margin(view.head()(seen), given)) for view in (first, second))
    assert one - two > 1.5  # of all heads, most of which did see it


def test_copies_do_not_learn_from_each_other():
    values, labels = _data()
    wrong = (labels[0] + 1) % 4
    copies = np.arange(6)
    values[copies], labels[copies] = values[0], wrong
    groups = np.arange(200)
    alone = _fit(values, labels, np.arange(200), groups).predict(copies, labels, 0)
    groups[copies] = 0
    together = _fit(values, labels, np.arange(200), groups).predict(copies, labels, 0)
    assert together.p_given[:6].mean() < alone.p_given[:6].mean()


@pytest.mark.parametrize("much", [feature_view.MUCH, 0], ids=["of features", "of directions"])
def test_the_linear_layer_says_what_the_mean_of_the_heads_does(much, monkeypatch):
    monkeypatch.setattr(feature_view, "MUCH", much)
    monkeypatch.setattr(feature_view, "DIRECTIONS", 5)
    values, labels = _data()
    view = _fit(values, labels, np.arange(200), np.arange(200))
    seen = torch.from_numpy(values[:10]).float()
    with torch.no_grad():
        torch.testing.assert_close(
            view.head()(seen), view.heads.eval()(seen).mean(dim=0), rtol=1e-3, atol=1e-3
        )


def test_prototypes_leave_the_row_out():
    values, labels = _data(count=40)
    labels[0] = 3
    labels[1:] %= 3  # row 0 is the only one of its class
    view = _fit(values, labels, np.arange(40), np.arange(40))
    cosines = view.prototypes.cosines(torch.arange(2))
    assert cosines[0, 3] == 0
    directions = (torch.from_numpy(values).float() - view.heads.mean) / view.heads.std
    directions = torch.nn.functional.normalize(directions, dim=1)
    own = [k for k in range(40) if labels[k] == labels[1] and k != 1]
    expected = torch.nn.functional.cosine_similarity(
        directions[1], directions[own].sum(dim=0), dim=0
    )
    assert cosines[1, labels[1]] == pytest.approx(float(expected), abs=1e-4)


def test_prototypes_leave_copies_out_together():
    values, labels = _data(count=40)
    values[:3] = values[0]
    labels[:3] = labels[0]
    groups = np.arange(40)
    groups[:3] = 0
    view = _fit(values, labels, np.arange(40), groups)
    directions = (torch.from_numpy(values).float() - view.heads.mean) / view.heads.std
    directions = torch.nn.functional.normalize(directions, dim=1)
    others = [k for k in range(3, 40) if labels[k] == labels[0]]
    expected = torch.nn.functional.cosine_similarity(
        directions[0], directions[others].sum(dim=0), dim=0
    )
    assert view.prototypes.cosines(torch.arange(1))[0, labels[0]] == pytest.approx(
        float(expected), abs=1e-4
    )


def test_of_few_images_the_second_round_counts_in_the_probabilities():
    config = HeadConfig()
    assert config.prototype_share(0) == 0.5 and config.prototype_share(1e5) < 0.001
    assert config.second_share(1) > 0.9 and config.second_share(1_000) == 0
    values, labels = _data(count=80)
    given = labels.copy()
    given[:8] = (labels[:8] + 1) % 4
    rows = np.arange(80)
    view = fit_view(_task(values, given, rows), rows, "jnpl", Reporter())
    assert view.earlier is not None and view.share == 0.5  # 20 images a class
    wrong = given != labels
    first, both = (each.predict(rows, given, 0).p_given for each in (view.first, view))
    assert both[~wrong].mean() > first[~wrong].mean()  # cleaner targets: surer of right labels


def test_of_many_images_the_second_round_only_ranks(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(HeadConfig, "second_share", lambda self, images: 0.0)
    values, labels = _data(count=80)
    given = labels.copy()
    given[:8] = (labels[:8] + 1) % 4
    rows = np.arange(80)
    view = fit_view(_task(values, given, rows), rows, "jnpl", Reporter())
    said, first = view.predict(rows, given, 0), view.first.predict(rows, given, 0)
    assert first.ranking is None and said.ranking is not None
    np.testing.assert_array_equal(said.p_given, first.p_given)
    np.testing.assert_array_equal(said.top_probs, first.top_probs)
    second = replace(view, share=1.0).predict(rows, given, 0)
    np.testing.assert_array_equal(said.ranking.p_given, second.p_given)
    assert not np.array_equal(said.ranking.p_given, first.p_given)


def test_a_store_gives_back_what_it_was_given_and_computes_the_rest_once(tmp_path: Path):
    rng = np.random.default_rng(0)
    digests = rng.integers(0, 2**63, (30, 2)).astype(np.uint64)
    digests[20] = digests[3]  # a copy
    values = rng.normal(0, 1, (30, 5)).astype(np.float32)
    values[20] = values[3]
    asked: list[int] = []

    def compute(rows: np.ndarray) -> np.ndarray:
        asked.extend(rows.tolist())
        return values[rows]

    store = FeatureStore(tmp_path, "net", 5)
    first = features_of(store, digests, np.arange(25), 5, compute, lambda _: None)
    assert sorted(asked) == [k for k in range(25) if k != 20]
    np.testing.assert_array_equal(first[:25], values[:25].astype(np.float16))
    assert np.isnan(first[25:]).all()
    asked.clear()
    again = FeatureStore(tmp_path, "net", 5)
    whole = features_of(again, digests, np.arange(30), 5, compute, lambda _: None)
    assert asked == [25, 26, 27, 28, 29]
    np.testing.assert_array_equal(whole, values.astype(np.float16))
    assert (FeatureStore(tmp_path, "other net", 5).find(digests) == -1).all()


@pytest.mark.parametrize("cut", ["features", "index"])
def test_a_store_that_was_cut_off_in_the_middle_loses_only_what_was_half_written(
    tmp_path: Path, cut: str
):
    digests = np.arange(20, dtype=np.uint64).reshape(10, 2)
    values = np.arange(30, dtype=np.float16).reshape(10, 3)
    store = FeatureStore(tmp_path, "net", 3)
    store.append(digests[:8], values[:8])
    (path,) = tmp_path.glob(f"*.{cut}")
    path.write_bytes(path.read_bytes()[:-3])
    store = FeatureStore(tmp_path, "net", 3)
    places = store.find(digests)
    assert (places[:7] == np.arange(7)).all() and (places[7:] == -1).all()
    store.append(digests[7:], values[7:])
    np.testing.assert_array_equal(store.read(store.find(digests)), values)


def test_heads_that_take_long_see_the_leading_directions(monkeypatch):
    rng, rows = np.random.default_rng(0), np.arange(200)
    labels = rng.integers(0, 4, 200)
    centres = rng.normal(0, 2, (4, 24))  # each class is seen in all features
    values = (centres[labels] + rng.normal(0, 1, (200, 24))).astype(np.float16)
    whole = _fit(values, labels, rows, rows)
    monkeypatch.setattr(feature_view, "MUCH", 0)
    monkeypatch.setattr(feature_view, "DIRECTIONS", 5)
    few = _fit(values, labels, rows, rows)
    assert (whole.heads.width, few.heads.width) == (values.shape[1], 5)
    one, two = (view.predict(rows, labels, 0).top_classes[:, 0] for view in (whole, few))
    assert (one == two).mean() > 0.9


def test_leading_directions_see_all_of_what_has_so_few_dimensions():
    rng = np.random.default_rng(0)
    values = (rng.normal(size=(300, 4)) @ rng.normal(size=(4, 20)) + 3).astype(np.float16)
    mean, std = heads.moments_of(values, np.arange(300))
    basis = leading_directions(values, np.arange(300), mean, std, count=4, seed=0)
    standardised = (torch.from_numpy(values).float() - mean) / std
    seen = standardised @ basis
    assert float(seen.square().mean()) == pytest.approx(1.0, abs=1e-3)
    back = torch.linalg.lstsq(seen, standardised).solution
    torch.testing.assert_close(seen @ back, standardised, rtol=0.01, atol=0.02)
    again = leading_directions(values, np.arange(300), mean, std, count=4, seed=0)
    torch.testing.assert_close(basis, again, rtol=0, atol=0)


@pytest.mark.parametrize("share", [0.0, 0.25, 0.5])
def test_dropout_leaves_that_share_out_and_keeps_the_mean(share):
    torch.manual_seed(0)
    model = heads.Heads(
        torch.zeros(4000), torch.ones(4000), heads=2, num_classes=1, dropout=share, gain=1.0
    )
    with torch.no_grad():
        model.weight.fill_(1.0)
        plain, dropped = (model.train(mode)(torch.ones(50, 4000)) for mode in (False, True))
    each = dropped[0, :, 0] / plain[0, :, 0]
    assert float(each.mean()) == pytest.approx(1.0, abs=0.01)
    expected = (share / (1 - share) / 4000) ** 0.5  # deviation of a mean of so many that are kept
    assert float(each.std()) == pytest.approx(expected, rel=0.3, abs=1e-6)
    torch.testing.assert_close(dropped[0], dropped[1])  # one mask for all heads


def test_dropout_takes_features_that_no_eight_divide():
    model = heads.Heads(torch.zeros(5), torch.ones(5), heads=1, num_classes=2, dropout=0.5, gain=1)
    assert model.train()(torch.ones(3, 5)).shape == (1, 3, 2)
