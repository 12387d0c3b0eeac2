"""The paper's figures: their numbers against the equations, and what runs left against points."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from matplotlib.figure import Figure
from PIL import Image

from labelclean.benchmark import drawing, paper_figures
from labelclean.benchmark.results import Row, write_results
from labelclean.errors import ReportError
from labelclean.learning import losses
from labelclean.report.figures import paper_style

METHODS = ("nl", "nl-plus", "nlnl", "jnpl", "ce")
NOISES = ("symm:0.2", "symm:0.4", "symm:0.6", "asymm:0.2", "asymm:0.4")
NAMES = ("airplane", "cat", "dog")


def _scores(row: Row, count: int = 300, history: list[dict[str, float]] | None = None) -> dict:
    """What a run might leave: the surer its method, the further right from wrong labels."""
    rng = np.random.default_rng([row.seed, METHODS.index(row.method), NOISES.index(row.noise)])
    truth = np.arange(count) % 3
    is_noisy = rng.random(count) < float(row.noise.partition(":")[2])
    given = np.where(is_noisy, (truth + 1) % 3, truth)
    sureness = 1 + METHODS.index(row.method)
    logits = rng.normal(0, 1, (count, 3))
    logits[np.arange(count), truth] += sureness
    probs = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    order = np.argsort(-probs, axis=1)
    p_given = probs[np.arange(count), given]
    shares = [{"epoch": k + 1, "disagreement": 0.9 - 0.05 * k} for k in range(8)]
    return {
        "given": given,
        "truth": truth,
        "p_given": p_given.astype(np.float32),
        "label_score": p_given,
        "top_classes": order.astype(np.int32),
        "top_probs": np.take_along_axis(probs, order, axis=1).astype(np.float32),
        "class_names": np.array(NAMES),
        "facts": np.array(json.dumps({"history": history or shares})),
    }


@pytest.fixture
def grid(tmp_path: Path, make_row: Callable[..., Row]) -> Callable[..., Path]:
    """Writes the folder of a benchmark: results.csv and the scores of each run."""

    def make(
        methods: tuple[str, ...] = METHODS,
        noises: tuple[str, ...] = NOISES,
        seeds: int = 2,
        change: Callable[[Row, dict[str, Any]], Mapping[str, Any]] = lambda row, scores: scores,
        **cells: Any,
    ) -> Path:
        out = tmp_path / "bench"
        (out / "runs").mkdir(parents=True, exist_ok=True)
        rows = []
        for method in methods:
            for noise in noises:
                for seed in range(seeds):
                    run = f"{method}-{noise.replace(':', '-')}-{seed}"
                    rate = float(noise.partition(":")[2])
                    row = make_row(
                        method=method, noise=noise, seed=seed, run=run, rate=rate, **cells
                    )
                    np.savez(out / "runs" / f"{run}.npz", **change(row, _scores(row)))
                    rows.append(row)
        write_results(rows, out)
        return out

    return make


def _lines(figure: Figure, axes: int = 0) -> dict[str, np.ndarray]:
    return {str(line.get_label()): line.get_xydata() for line in figure.axes[axes].get_lines()}


def _runs(out: Path) -> dict[Row, paper_figures.Scores]:
    rows = paper_figures.read_results(out)
    return {row: paper_figures.Scores(out / "runs" / f"{row.run}.npz") for row in rows}


@pytest.mark.parametrize(("is_plus", "loss"), [(False, losses.nl), (True, losses.nl_plus)])
def test_the_gradient_maps_are_the_gradients_of_the_losses(is_plus: bool, loss: Any):
    for p_given, p_other in ((0.1, 0.8), (0.5, 0.4), (0.05, 0.05), (0.3, 0.69)):
        p = torch.tensor([p_given, p_other, 1 - p_given - p_other], dtype=torch.float64)
        logits = p.log()[None].requires_grad_()
        loss(logits, torch.tensor([[1]])).sum().backward()
        found = drawing.gradient_size(np.array(p_given), np.array(p_other), is_plus=is_plus)
        assert found == pytest.approx(-logits.grad[0, 0].item(), rel=1e-5)


def test_two_probabilities_above_one_have_no_gradient():
    found = drawing.gradient_size(
        np.array([0.6, 0.5, 0.0]), np.array([0.5, 0.5, 1.0]), is_plus=False
    )
    assert np.isnan(found).tolist() == [True, False, False]


def test_the_curves_of_pl_plus_are_the_gradients_of_the_loss():
    with paper_style():
        drawn = _lines(drawing.draw_pl_plus())
    assert list(drawn) == ["cross-entropy", *(f"PL+, N = {n}" for n in range(4))]
    for n_max, name in enumerate(list(drawn)[1:]):
        for p, size in drawn[name][20::60]:
            logits = torch.tensor([[p, (1 - p) / 2, (1 - p) / 2]]).double().clamp(min=1e-12).log()
            logits.requires_grad_()
            losses.pl_plus(logits, torch.tensor([0]), n_max).sum().backward()
            assert size == pytest.approx(-logits.grad[0, 0].item(), abs=1e-5)
    np.testing.assert_allclose(drawn["cross-entropy"][:, 1], 1 - drawn["cross-entropy"][:, 0])


def test_the_equations_are_drawn_without_any_run(tmp_path: Path):
    files = paper_figures.draw_equations(tmp_path / "figures")
    assert [path.name for path in files] == [
        "figure_2ae_gradients.png",
        "figure_3c_pl_plus.png",
        "captions.md",
    ]
    for path in files[:2]:
        with Image.open(path) as image:
            assert min(image.size) > 300 and len(image.convert("L").getcolors()) > 50
        assert f"![]({path.name})" in files[2].read_text()


def test_a_whole_grid_gives_every_figure_with_its_caption(grid: Any, tmp_path: Path):
    files = paper_figures.draw_all(grid(), tmp_path / "figures")
    assert [path.stem for path in files] == [
        "figure_2ae_gradients",
        "figure_3c_pl_plus",
        "figure_2_data",
        "figure_4_epochs",
        "figure_5_average_precision",
        "figure_6_class",
        "captions",
    ]
    words = files[-1].read_text()
    assert "cifar10, 5,000 images, 20 epochs" in words
    assert all(f"![]({path.name})" in words for path in files[:-1])
    assert all(path.read_bytes()[:4] == b"\x89PNG" for path in files[:-1])


def test_the_points_are_the_rows_of_the_run_with_their_largest_other_class(grid: Any):
    out = grid(methods=("nl",), noises=("symm:0.4",), seeds=1)
    (scores,) = _runs(out).values()
    cloud = scores.cloud("NL")
    for k in range(0, 300, 37):
        others = [
            p
            for name, p in zip(scores["top_classes"][k], scores["top_probs"][k], strict=True)
            if name != scores["given"][k]
        ]
        assert cloud.p_other[k] == pytest.approx(max(others))
        assert cloud.is_noisy[k] == (scores["given"][k] != scores["truth"][k])
    figure = paper_figures.clouds_picture(_runs(out)).figure
    (points,) = figure.axes[2].collections  # after the map and symm 20 %, which has no run
    drawn = {tuple(point) for point in np.round(points.get_offsets(), 5)}
    expected = zip(np.round(cloud.p_given, 5), np.round(cloud.p_other, 5), strict=True)
    assert drawn == set(expected)
    assert not figure.axes[1].axison and not figure.axes[1].collections


def test_the_class_figure_shows_the_rows_given_that_label_and_no_others(grid: Any):
    out = grid(methods=("nl", "jnpl"), noises=("asymm:0.4",), seeds=1)
    runs = _runs(out)
    figure = paper_figures.class_picture(runs).figure
    lower = figure.axes[2:4]
    for axes, scores in zip(lower, runs.values(), strict=True):
        is_cat = scores["given"] == NAMES.index("cat")
        heights = [bar.get_height() for bar in axes.patches]
        assert sum(heights[: drawing.BINS]) == (is_cat & ~scores.is_noisy).sum()
        assert sum(heights[drawing.BINS :]) == (is_cat & scores.is_noisy).sum()


def test_without_a_cat_the_class_with_the_most_wrong_labels_is_shown(grid: Any):
    def renamed(row: Row, scores: dict[str, Any]) -> dict[str, Any]:
        given = np.where(scores["truth"] == 2, 0, scores["truth"])
        return {**scores, "class_names": np.array(["<b>", "b", "c"]), "given": given}

    out = grid(methods=("jnpl",), noises=("asymm:0.2",), seeds=1, change=renamed)
    picture = paper_figures.class_picture(_runs(out))
    assert "images labelled <b>, asymm 20 %" in picture.caption
    assert picture.figure.axes[1].get_ylabel() == "images labelled <b>"


def test_average_precision_is_that_of_scikit_learn_in_both_views(grid: Any):
    from sklearn.metrics import average_precision_score

    out = grid(methods=("jnpl", "nlnl"), noises=("symm:0.2", "symm:0.6"), seeds=3)
    runs = _runs(out)
    figure = paper_figures.precision_picture(runs).figure
    for row_of_panels, sign in ((0, 1), (1, -1)):
        lines = _lines(figure, row_of_panels)
        assert list(lines) == ["JNPL", "NLNL"]
        for rate, mean in lines["JNPL"]:
            by_seed = [
                average_precision_score(scores.is_noisy == (sign < 0), sign * scores["label_score"])
                for row, scores in runs.items()
                if (row.method, row.noise) == ("jnpl", f"symm:{rate:g}")
            ]
            assert len(by_seed) == 3 and mean == pytest.approx(np.mean(by_seed))


def test_curves_over_the_epochs_are_test_accuracy_where_the_runs_have_it(grid: Any):
    def with_accuracy(row: Row, scores: dict[str, Any]) -> dict[str, Any]:
        history = [
            {"disagreement": 0.5, "test_accuracy": 0.1 * k + 0.05 * row.seed} for k in (1, 2)
        ]
        return {**scores, "facts": np.array(json.dumps({"history": history}))}

    plain = paper_figures.curves_picture(_runs(grid(noises=("symm:0.6",)))).figure
    lines = _lines(plain)
    assert list(lines) == ["share of right labels", "NLNL", "NL+", "JNPL"]
    np.testing.assert_allclose(lines["JNPL"][:, 1], 0.1 + 0.05 * np.arange(8))
    np.testing.assert_allclose(np.array(lines["share of right labels"])[:, 1], 0.4)
    assert plain.axes[0].get_ylabel() == "agreement with the given labels"
    known = paper_figures.curves_picture(
        _runs(grid(noises=("symm:0.6",), change=with_accuracy))
    ).figure
    assert known.axes[0].get_ylabel() == "test accuracy"
    np.testing.assert_allclose(_lines(known)["NL+"], [[1, 0.125], [2, 0.225]])


def test_a_grid_of_other_methods_gives_what_it_allows(grid: Any, tmp_path: Path):
    files = paper_figures.draw_all(
        grid(methods=("ce",), noises=("symm:0.2",)), tmp_path / "figures"
    )
    assert [path.stem for path in files][2:] == ["figure_5_average_precision", "captions"]


def test_runs_that_failed_or_never_were_are_one_line(grid: Any, tmp_path: Path):
    out = grid(methods=("ce",), noises=("symm:0.2",), error="collapsed")
    for folder in (out, tmp_path / "nothing"):
        with pytest.raises(ReportError, match="holds no finished run"):
            paper_figures.draw_all(folder, tmp_path / "figures")
    assert not (tmp_path / "figures").exists()


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 cut", b"text"])
def test_a_broken_file_of_scores_is_one_line(grid: Any, tmp_path: Path, content: bytes):
    out = grid(methods=("ce",), noises=("symm:0.2",), seeds=1)
    (path,) = (out / "runs").iterdir()
    path.write_bytes(content)
    with pytest.raises(
        ReportError, match=r"ce-symm-0.2-0.npz: cannot be read .* run benchmark again"
    ):
        paper_figures.draw_all(out, tmp_path / "figures")


def test_pickled_arrays_are_not_opened(grid: Any, tmp_path: Path):
    class Trap:
        def __reduce__(self) -> Any:
            return (Path.touch, (tmp_path / "sprung",))

    out = grid(methods=("ce",), noises=("symm:0.2",), seeds=1)
    (path,) = (out / "runs").iterdir()
    np.savez(path, label_score=np.array([Trap()], dtype=object))
    with pytest.raises(ReportError, match="cannot be read"):
        paper_figures.draw_all(out, tmp_path / "figures")
    assert not (tmp_path / "sprung").exists()


def test_each_setting_has_its_own_folder(grid: Any, tmp_path: Path):
    rows = list(paper_figures.read_results(grid(methods=("ce",), noises=("symm:0.2",), seeds=1)))
    out = grid(methods=("jnpl",), noises=("symm:0.2",), seeds=1, data="../odd:name", epochs=5)
    write_results([*rows, *paper_figures.read_results(out)], out)
    files = paper_figures.draw_all(out, tmp_path / "figures")
    folders = {path.parent.relative_to(tmp_path / "figures").as_posix() for path in files}
    assert folders == {"cifar10-5000-quick-20-smallnet", "odd-name-5000-quick-5-smallnet"}
