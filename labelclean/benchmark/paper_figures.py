"""Figures 2 to 6 of the paper as PNG files, from its equations and from what runs left behind."""

from __future__ import annotations

import json
import re
import zipfile
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from labelclean.benchmark import drawing
from labelclean.benchmark.drawing import Cloud, Curve
from labelclean.benchmark.results import Row, Setting, read_results
from labelclean.benchmark.runs import RUNS
from labelclean.errors import ReportError, printable
from labelclean.report import metrics
from labelclean.report.figure_folder import write_figures
from labelclean.report.figures import encode_png, paper_style

CAPTIONS = "captions.md"
TITLES = {
    "ce": "CE",
    "nl": "NL",
    "nl-plus": "NL+",
    "nlnl": "NLNL",
    "jnpl": "JNPL",
    "co-teaching": "Co-teaching",
    "jocor": "JoCoR",
    "nfl-rce": "NFL+RCE",
    "nce-rce": "NCE+RCE",
    "forward": "Forward",
    "gce": "GCE",
    "elr": "ELR",
}
CLOUDED = ("nl", "nl-plus")  # Figure 2
CLOUD_NOISES = ("symm:0.2", "symm:0.4", "symm:0.6")
CURVED = ("nlnl", "nl-plus", "jnpl")  # Figure 4
CURVE_NOISE = "symm:0.6"
OF_CLASS = ("nl", "nlnl", "nl-plus", "jnpl")  # Figure 6
CLASS_NAME, CLASS_NOISE = "cat", "asymm:0.4"


@dataclass(frozen=True, kw_only=True)
class Picture:
    """A figure with what to see in it, as Markdown."""

    name: str
    figure: Figure
    caption: str


@dataclass(frozen=True)
class Scores:
    """The file that a run left: arrays by name, of the rows that were trained on."""

    path: Path

    @cached_property
    def facts(self) -> dict[str, Any]:
        parsed: dict[str, Any] = json.loads(str(self["facts"]))
        return parsed

    @property
    def is_noisy(self) -> NDArray[np.bool_]:
        noisy: NDArray[np.bool_] = self["given"] != self["truth"]
        return noisy

    def __getitem__(self, name: str) -> NDArray[Any]:
        """Raises ReportError if the file is missing or is something else."""
        try:
            with open(self.path, "rb") as raw, np.load(raw, allow_pickle=False) as file:
                array: NDArray[Any] = file[name]
        except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
            raise ReportError(
                f"{printable(self.path)}: cannot be read ({type(error).__name__}); remove its "
                "line from results.csv and run benchmark again"
            ) from None
        return array

    def cloud(self, title: str, class_name: str | None = None) -> Cloud:
        """p_y and p_ȳmax of all rows, or of those given one label."""
        given, p_given = self["given"], self["p_given"].astype(np.float64)
        tops, probs = self["top_classes"], self["top_probs"].astype(np.float64)
        p_other = np.where(tops == given[:, None], -np.inf, probs).max(axis=1)
        chosen = np.isfinite(p_given)
        if class_name is not None:
            chosen &= given == self["class_names"].tolist().index(class_name)
        return Cloud(
            title=title,
            p_given=p_given[chosen],
            p_other=p_other[chosen],
            is_noisy=self.is_noisy[chosen],
        )


def draw_equations(folder: Path) -> list[Path]:
    """Writes what the equations alone give: gradient maps of NL and NL+, gradient of PL+.

    Raises ReportError if a file cannot be written.
    """
    with paper_style():
        return _written(_equations(), folder)


def draw_all(results: Path, folder: Path) -> list[Path]:
    """Writes every figure that the runs in a folder of `benchmark` allow, and captions.md.

    results  folder with results.csv and runs/<run>.npz
    folder   for the figures; with a folder in it for each setting where there are several
    returns  the files

    Raises ReportError if results holds no finished run, a file of scores is broken, or a figure
    cannot be written.
    """
    rows = [row for row in read_results(results) if not row.error]
    if not rows:
        raise ReportError(
            f"{printable(results)}: holds no finished run to draw; run benchmark without --figures"
        )
    settings = list(dict.fromkeys(row.setting for row in rows))
    files = []
    with paper_style():
        equations = _equations()
        for setting in settings:
            place = folder / _folder_name(setting) if len(settings) > 1 else folder
            runs = {row: Scores(results / RUNS / f"{row.run}.npz") for row in rows}
            runs = {row: scores for row, scores in runs.items() if row.setting == setting}
            pictures = [draw(runs) for draw in DRAWN]
            drawn = [*equations, *(picture for picture in pictures if picture)]
            files += _written(drawn, place, heading=_heading(setting))
    return files


def _equations() -> list[Picture]:
    return [
        Picture(
            name="figure_2ae_gradients",
            figure=drawing.draw_gradient_maps(),
            caption="**Figure 2 (a), (e): gradient maps of NL and NL+.** How strongly the given "
            "class y is pushed up when ȳ is the largest of the others. A wrong label lies in the "
            "upper left, with ȳ the true class: there NL pushes hardest, NL+ less than in the "
            "middle.",
        ),
        Picture(
            name="figure_3c_pl_plus",
            figure=drawing.draw_pl_plus(),
            caption="**Figure 3 (c): gradient of PL+.** Cross-entropy lets go of an image as soon "
            "as it becomes sure; the larger N, the longer PL+ keeps its full strength.",
        ),
    ]


Runs = dict[Row, Scores]


def clouds_picture(runs: Runs) -> Picture | None:
    """Figure 2: training data over (p_y, p_ȳmax) after NL and NL+."""
    lines = []
    for method in CLOUDED:
        of_noise = {noise: _first(runs, method, noise) for noise in CLOUD_NOISES}
        clouds = [
            scores.cloud(f"{TITLES[method]}, {noise_words(noise)}") if scores else None
            for noise, scores in of_noise.items()
        ]
        lines.append((method == "nl-plus", clouds))
    if not any(cloud for _, clouds in lines for cloud in clouds):
        return None
    return Picture(
        name="figure_2_data",
        figure=drawing.draw_clouds(lines),
        caption="**Figure 2: training data after NL (above) and NL+ (below).** The better a method "
        "separates, the more of the wrong labels (orange) lie in the upper left corner, where "
        "another class than the given one is sure, and the more right ones (blue) in the lower "
        "right one. At most 4,000 images a panel, seed 0.",
    )


def curves_picture(runs: Runs) -> Picture | None:
    """Figure 4: NLNL, NL+ and JNPL over the epochs under much symmetric noise."""
    noise = _nearest(runs, "symm", CURVE_NOISE, CURVED)
    if noise is None:
        return None
    has_truth = all(
        "test_accuracy" in epoch
        for row, scores in runs.items()
        if row.noise == noise and row.method in CURVED
        for epoch in scores.facts["history"]
    )
    curves = []
    for method in CURVED:
        histories = [
            [
                float(epoch["test_accuracy"]) if has_truth else 1 - float(epoch["disagreement"])
                for epoch in scores.facts["history"]
            ]
            for row, scores in runs.items()
            if (row.method, row.noise) == (method, noise)
        ]
        if histories:
            epochs = range(1, min(map(len, histories)) + 1)
            curves.append(_curve(method, epochs, list(zip(*histories, strict=False))))
    if has_truth:
        see = "Accuracy on the test images."
        level = None
    else:
        see = (
            "Share of the training images whose given label is the one predicted. A network that "
            "knows the true labels and has memorised no wrong one lies on the dashed line; "
            "what lies above is memory."
        )
        level = 1 - float(np.mean([row.rate for row in runs if row.noise == noise]))
    return Picture(
        name="figure_4_epochs",
        figure=drawing.draw_curves(
            curves,
            y_label="test accuracy" if has_truth else "agreement with the given labels",
            title=noise_words(noise),
            level=level,
            level_name="share of right labels",
        ),
        caption=f"**Figure 4: NLNL, NL+ and JNPL over the epochs, {noise_words(noise)}.** {see} "
        "NLNL changes at one and two thirds of the run: NL, SelNL, SelPL.",
    )


def precision_picture(runs: Runs) -> Picture | None:
    """Figure 5: average precision of filtering over the noise rates."""
    views: tuple[tuple[str, Callable[..., float]], ...] = (
        ("AP of the right labels", metrics.average_precision_clean),
        ("AP of the wrong labels", metrics.average_precision),
    )
    kinds = {"symm": "symmetric noise", "asymm": "asymmetric noise"}
    measured: dict[Row, list[float]] = {}
    for row, scores in runs.items():
        if noise_kind(row.noise) in kinds:
            label_score, is_noisy = scores["label_score"], scores.is_noisy
            known = np.isfinite(label_score)
            measured[row] = [measure(label_score[known], is_noisy[known]) for _, measure in views]
    there = [kind for kind in kinds if any(noise_kind(row.noise) == kind for row in measured)]
    if not there:
        return None
    panels = {
        title: {kinds[kind]: _over_noise(measured, kind, view) for kind in there}
        for view, (title, _) in enumerate(views)
    }
    return Picture(
        name="figure_5_average_precision",
        figure=drawing.draw_over_noise(panels),
        caption="**Figure 5: average precision of filtering.** Above as in the paper, where the "
        "right labels are what is to be found; below the wrong ones, as a user looks for them. "
        "The more wrong labels there are, the easier it is to find some and the harder to find "
        "right ones. Mean over the seeds, the band is one standard deviation.",
    )


def class_picture(runs: Runs) -> Picture | None:
    """Figure 6: images given one confusable label under asymmetric noise."""
    noise = _nearest(runs, "asymm", CLASS_NOISE, OF_CLASS)
    row_of = {method: _first(runs, method, noise) for method in OF_CLASS} if noise else {}
    there = {method: scores for method, scores in row_of.items() if scores}
    if not noise or not there:
        return None
    class_name = _confused_class(next(iter(there.values())))
    clouds = [
        (method in ("nl-plus", "jnpl"), scores.cloud(TITLES[method], class_name))
        for method, scores in there.items()
    ]
    return Picture(
        name="figure_6_class",
        figure=drawing.draw_class(clouds, class_name),
        caption=f"**Figure 6: images labelled {printable(class_name)}, {noise_words(noise)}.** "
        "Two classes are exchanged, so the given and the true one share the probability. A method "
        "that separates them has two peaks below; one that does not has both colours around "
        "one half. Seed 0.",
    )


DRAWN = (clouds_picture, curves_picture, precision_picture, class_picture)


def noise_kind(noise: str) -> str:
    return noise.partition(":")[0]


def noise_rate(noise: str) -> float:
    return float(noise.partition(":")[2])


def noise_words(noise: str) -> str:
    """symm:0.4 -> symm 40 %."""
    return f"{noise_kind(noise)} {noise_rate(noise):.0%}".replace("%", " %")


def _first(runs: Runs, method: str, noise: str) -> Scores | None:
    """The run of the lowest seed."""
    matching = [row for row in runs if (row.method, row.noise) == (method, noise)]
    return runs[min(matching, key=lambda row: row.seed)] if matching else None


def _nearest(runs: Runs, kind: str, noise: str, methods: Sequence[str]) -> str | None:
    """The same noise, or the one of its kind nearest in rate; None if there is none."""
    noises = {row.noise for row in runs if noise_kind(row.noise) == kind and row.method in methods}
    rate = noise_rate(noise)
    return min(noises, key=lambda each: (abs(noise_rate(each) - rate), each)) if noises else None


def _confused_class(scores: Scores) -> str:
    """cat where there is one, else the given label with the most wrong ones."""
    names: list[str] = scores["class_names"].tolist()
    if CLASS_NAME in names:
        return CLASS_NAME
    counts = np.bincount(scores["given"][scores.is_noisy], minlength=len(names))
    return names[int(counts.argmax())]


def _curve(method: str, x: Sequence[float], values: Sequence[Sequence[float]]) -> Curve:
    """values: for each of x those of all seeds."""
    return Curve(
        name=TITLES.get(method, method),
        x=np.array(x, dtype=np.float64),
        mean=np.array([np.mean(seeds) for seeds in values]),
        std=np.array([np.std(seeds, ddof=1) if len(seeds) > 1 else 0.0 for seeds in values]),
    )


def _over_noise(measured: dict[Row, list[float]], kind: str, view: int) -> list[Curve]:
    values: dict[str, dict[float, list[float]]] = {}
    for row in sorted(measured, key=lambda row: (_order(row.method), row.seed)):
        if noise_kind(row.noise) == kind and np.isfinite(measured[row][view]):
            of_method = values.setdefault(row.method, {})
            of_method.setdefault(noise_rate(row.noise), []).append(measured[row][view])
    return [
        _curve(method, sorted(by_rate), [by_rate[rate] for rate in sorted(by_rate)])
        for method, by_rate in values.items()
    ]


def _order(method: str) -> tuple[int, str]:
    """The paper's own pair first: it takes the strongest colours."""
    known = ["jnpl", "nlnl", *TITLES]
    return (known.index(method) if method in known else len(known), method)


def _folder_name(setting: Setting) -> str:
    words = " ".join(str(value) for value in vars(setting).values())
    return re.sub(r"[^A-Za-z0-9.+]+", "-", words).strip("-.") or "setting"


def _heading(setting: Setting) -> str:
    return (
        f"{printable(setting.data)}, {setting.n:,} images, {setting.epochs} epochs, "
        f"{printable(setting.arch)}, preset {setting.preset}"
    )


def _written(pictures: Iterable[Picture], folder: Path, heading: str = "") -> list[Path]:
    drawn = {}
    words = ["# The paper's figures", *([heading + "."] if heading else [])]
    for picture in pictures:
        name = f"{picture.name}.png"
        drawn[name] = encode_png(picture.figure)
        words.append(f"![]({name})\n\n{picture.caption}")
    drawn[CAPTIONS] = ("\n\n".join(words) + "\n").encode()
    write_figures(folder, (), drawn)  # those of other runs stay
    return [folder / name for name in drawn]
