"""Are the tuned numbers of the noise model good for data that they were not chosen on?

    python examples/benchmark/choose_noise_model.py --data NAME=FOLDER --data NAME=FOLDER --out DIR

Data sets as in view_quality.py; draws of each, as in few_photos.py, are judged by heads on features
once. Then --configs drawn settings of the noise model (each number by a factor of up to 3 from
the one in use) judge all draws. For each data set the table has the settings that are best on the
*other* sets beside those in use, and beside the best on the set itself, which nobody can know.

Settings are compared by the mean log-loss of the issue probability, in nats a label: calibrated and
separating probabilities have the least. The interval's two numbers are chosen after it, by the
interval score (Gneiting & Raftery 2007): the width, and 40 times what the true rate lies outside.
`unseen_gain` and `own_errors` are not drawn: heads out of fold did not train on what they judge.
"""

from __future__ import annotations

import argparse
import csv
import os
from collections.abc import Mapping
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import fields, replace
from itertools import product
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import few_photos
import numpy as np
from numpy.typing import NDArray

from labelclean.judging.tuned import TUNED, NoiseModelConfig
from labelclean.predictions import Predictions

DRAWN = ("spread", "pull", "dominance", "anchors", "doubt_of_many", "doubt_of_few", "doubt_spread")
MOST = {"dominance": 1.0, "anchors": 0.5}
FACTOR = 3.0
ERRORS = tuple(product((0.0, 0.005, 0.01, 0.015, 0.02, 0.03), (0.0, 0.2, 0.4, 0.6, 0.8, 1.0, 1.3)))
RANKING = "ranking"  # field of Predictions that holds predictions
LEAST = 1e-3  # no label is taken to be surer than this by the log-loss

Row = dict[str, Any]


def drawn_configs(count: int) -> list[NoiseModelConfig]:
    """The settings in use, and others; their intervals without the model's error."""
    rng = np.random.default_rng(0)
    base = replace(TUNED, model_error=0.0, model_error_of_few=0.0)
    configs = [base]
    for _ in range(count):
        numbers = {
            name: min(getattr(TUNED, name) * FACTOR ** rng.uniform(-1, 1), MOST.get(name, np.inf))
            for name in DRAWN
        }
        prior = tuple(part * FACTOR ** rng.uniform(-1, 1) for part in TUNED.noise_prior)
        configs.append(replace(base, noise_prior=prior, **numbers))
    return configs


def columns(said: Predictions, prefix: str = "") -> dict[str, NDArray[Any]]:
    """The arrays of predictions by name, those of what ranks the rows too."""
    own = {f"{prefix}{name}": value for name, value in vars(said).items() if name != RANKING}
    return own if said.ranking is None else own | columns(said.ranking, f"{RANKING} ")


def restored(stored: Mapping[str, NDArray[Any]], prefix: str = "") -> Predictions:
    names = [field.name for field in fields(Predictions) if field.name != RANKING]
    has_ranking = f"{prefix}{RANKING} {names[0]}" in stored
    return Predictions(
        **{name: stored[f"{prefix}{name}"] for name in names},
        ranking=restored(stored, f"{RANKING} ") if has_ranking else None,
    )


def judged_by_all(task: tuple[few_photos.Job, str, int]) -> list[Row]:
    """A row for each of the settings: what they say of one draw."""
    from labelclean.config import VerdictConfig
    from labelclean.judging import verdicts
    from labelclean.report import metrics

    job, folder, configs = task
    name, _, count, noise, draw = job
    path = Path(folder) / f"{name}-{count}-{noise.replace(' ', '')}-{draw}.npz"
    if not path.exists():
        given, truth, said = few_photos.heads_say(job)
        np.savez(path, given=given, truth=truth, **columns(said))
    stored = np.load(path)
    given, truth, said = stored["given"], stored["truth"], restored(stored)
    is_noisy = given != truth
    rows = []
    for k, config in enumerate(drawn_configs(configs)):
        found = verdicts.decide(
            given,
            said,
            num_classes=int(truth.max()) + 1,
            verdict=VerdictConfig(),
            seed=draw,
            config=config,
        )
        wrong = np.clip(found.issue_probability, LEAST, 1 - LEAST)
        low, high = found.noise_rate_interval
        rows.append(
            {
                "data": name,
                "n": count,
                "noise": noise,
                "draw": draw,
                "config": k,
                "loss": -np.log(np.where(is_noisy, wrong, 1 - wrong)).mean(),
                "ece": metrics.expected_calibration_error(found.issue_probability, is_noisy),
                "rate": found.noise_rate,
                "truth": is_noisy.mean(),
                "low": low,
                "high": high,
            }
        )
    return rows


class Runs:
    """Figures of all settings on all draws, by columns."""

    def __init__(self, rows: list[Row]) -> None:
        self.data = np.array([row["data"] for row in rows])
        self.config = np.array([int(row["config"]) for row in rows])
        names = ("n", "loss", "ece", "rate", "truth", "low", "high")
        self.of = {name: np.array([float(row[name]) for row in rows]) for name in names}

    def losses(self, is_used: NDArray[np.bool_]) -> NDArray[np.float64]:
        """Mean loss of each of the settings; data sets count alike."""
        sets = np.unique(self.data[is_used])
        each = [
            np.bincount(self.config[chosen], self.of["loss"][chosen])
            / np.bincount(self.config[chosen])
            for chosen in (is_used & (self.data == name) for name in sets)
        ]
        return np.mean(each, axis=0)

    def interval(
        self, is_used: NDArray[np.bool_], error: tuple[float, float]
    ) -> tuple[float, float, float]:
        """Interval score, share that holds the true rate, and width, in the mean."""
        more = error[0] + error[1] / np.sqrt(self.of["n"][is_used])
        low = np.maximum(self.of["low"][is_used] - more, 0)
        high = np.minimum(self.of["high"][is_used] + more, 1)
        truth = self.of["truth"][is_used]
        outside = np.maximum(low - truth, 0) + np.maximum(truth - high, 0)
        width = high - low
        return (
            float((width + 40 * outside).mean()),
            float((outside == 0).mean()),
            float(width.mean()),
        )

    def best(self, is_used: NDArray[np.bool_]) -> tuple[int, tuple[float, float]]:
        """The best of the settings on these rows, and of the interval's numbers with it."""
        config = int(self.losses(is_used).argmin())
        chosen = is_used & (self.config == config)
        return config, min(ERRORS, key=lambda error: self.interval(chosen, error)[0])


def table(runs: Runs) -> str:
    in_use = 0, (TUNED.model_error, TUNED.model_error_of_few)
    lines = [
        f"{'held out':12} {'settings':14} {'loss':>6} {'ECE':>6} {'bias':>7} {'holds':>6} "
        f"{'width':>6}  config, model error"
    ]
    for name in (*np.unique(runs.data), "mean"):
        is_held = runs.data == name if name != "mean" else np.ones(len(runs.data), bool)
        kinds = {"in use": in_use}
        if name != "mean":
            kinds |= {"of the others": runs.best(~is_held), "of itself": runs.best(is_held)}
        else:
            kinds |= {"of all": runs.best(is_held)}
        for kind, (config, error) in kinds.items():
            rows = is_held & (runs.config == config)
            _, holds, width = runs.interval(rows, error)
            bias = (runs.of["rate"] - runs.of["truth"])[rows].mean()
            lines.append(
                f"{name:12} {kind:14} {runs.losses(is_held)[config]:6.4f} "
                f"{runs.of['ece'][rows].mean():6.3f} {bias:+7.3f} {holds:6.3f} {width:6.3f}  "
                f"{config}, {error[0]:g} + {error[1]:g} / sqrt(n)"
            )
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", action="append", required=True, metavar="NAME=PLACE")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--sizes", default="60,120,360,1000,3000")
    parser.add_argument("--draws", type=int, default=2)
    parser.add_argument("--configs", type=int, default=60)
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--cache", type=Path)
    parser.add_argument("--count", type=int, default=10_000)
    options = parser.parse_args()
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    folder = options.out / "said"
    folder.mkdir(parents=True, exist_ok=True)
    tasks = [(job, str(folder), options.configs) for job in few_photos.jobs_of(options)]
    rows: list[Row] = []
    with ProcessPoolExecutor(options.jobs, mp_context=get_context("spawn")) as pool:
        for done, future in enumerate(
            as_completed([pool.submit(judged_by_all, task) for task in tasks]), 1
        ):
            rows += future.result()
            print(f"{done} of {len(tasks)} draws", flush=True)
    rows.sort(key=lambda row: (row["data"], row["n"], row["noise"], row["draw"], row["config"]))
    with open(options.out / "choose_noise_model.csv", "w", newline="") as out:
        writer = csv.DictWriter(out, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    runs = Runs(rows)
    print(table(runs))
    print(f"best on all: {drawn_configs(options.configs)[runs.best(runs.config >= 0)[0]]}")


if __name__ == "__main__":
    main()
