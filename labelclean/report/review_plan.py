"""How many images to look at for which remaining noise, from the calibrated probabilities."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from labelclean.report.report import Report

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

FEWEST = 500  # a table of budgets begins at this part of the images
NEVER_SURE = 1e-6  # no probability is nearer to 0 or 1 when the interval's ends are worked out
ODDS_RANGE = 60.0  # log-odds by which any such probability becomes 0 or 1


@dataclass(frozen=True, kw_only=True)
class Step:
    """The expected state after more images have been looked at and their labels corrected.

    images            looked at from now on, the most suspicious first
    found             expected wrong labels among them
    noise             share of the labels that are then still wrong, with its interval
    last_probability  issue probability of the last of them; None: no image
    """

    images: int
    found: float
    noise: float
    noise_interval: tuple[float, float]
    last_probability: float | None


@dataclass(frozen=True, kw_only=True)
class Target:
    """The looks needed to come down to a noise rate.

    images          expected; None: out of reach
    images_at_most  enough at the upper end of the interval too; None: out of reach there
    """

    noise: float
    images: int | None
    images_at_most: int | None


@dataclass(frozen=True, kw_only=True)
class Plan:
    """A look ahead at the rows of a report that nobody has decided yet.

    judged    rows with an issue probability; all shares are of these, less the excluded ones
    left_out  rows without one: no readable image, or no label
    settled   rows that a person decided, those excluded among them
    unsure    rows that a person could not decide: they stay as they are
    waiting   rows still to be looked at
    """

    judged: int
    left_out: int
    settled: int
    excluded: int
    unsure: int
    waiting: int
    steps: tuple[Step, ...]
    target: Target | None = None

    def to_json(self) -> dict[str, Any]:
        fields_of = asdict(self)
        for step in fields_of["steps"]:
            step["noise_interval"] = list(step["noise_interval"])
        return {**fields_of, "steps": list(fields_of["steps"])}


@dataclass(frozen=True, kw_only=True)
class Outlook:
    """Wrong labels that are left after 0, 1, ... w more images: (w + 1,) each.

    probability  (w,)  of the waiting rows, in the order in which they are looked at
    rows         the labels that the shares are of
    """

    probability: Floats
    left: Floats
    left_low: Floats
    left_high: Floats
    rows: int

    def step(self, images: int) -> Step:
        rows = max(self.rows, 1)
        low, high = float(self.left_low[images]), float(self.left_high[images])
        return Step(
            images=images,
            found=float(self.left[0] - self.left[images]),
            noise=float(self.left[images]) / rows,
            noise_interval=(low / rows, high / rows),
            last_probability=float(self.probability[images - 1]) if images else None,
        )

    def target(self, noise: float) -> Target:
        return Target(
            noise=noise,
            images=self._reached(self.left, noise),
            images_at_most=self._reached(self.left_high, noise),
        )

    def _reached(self, left: Floats, noise: float) -> int | None:
        enough = np.flatnonzero(left <= noise * self.rows + 1e-9)  # sums are not exact
        return int(enough[0]) if len(enough) else None


def make_plan(
    report: Report,
    *,
    budget: int | None = None,
    target_noise: float | None = None,
    settled: Collection[str] = (),
    excluded: Collection[str] = (),
    unsure: Collection[str] = (),
) -> Plan:
    """The plan for a budget of images, for a noise to come down to, or a table of budgets.

    settled   images whose label a person decided: it is right, or will be
    excluded  those of them that leave the data set
    unsure    images at which a person looked in vain: another look would not help

    The interval moves all probabilities by the same log-odds, to where their mean is one end of
    the interval of the noise rate.
    """
    frame = report.frame
    probability = frame["issue_probability"].to_numpy()
    judged = ~np.isnan(probability)
    names = frame["image"].tolist()
    is_settled, is_excluded, is_unsure = (
        np.array([name in images for name in names], dtype=np.bool_) & judged
        for images in map(frozenset, (settled, excluded, unsure))
    )
    order = np.argsort(frame["label_score"].to_numpy(), kind="stable")  # NaN comes last
    waiting = order[(judged & ~is_settled & ~is_excluded & ~is_unsure)[order]]
    low, high = shifted(probability[judged], report.meta.noise_rate_interval)
    ends = np.full((2, len(frame)), np.nan)
    ends[:, judged] = low, high
    outlook = Outlook(
        probability=probability[waiting],
        left=_left(probability, waiting, is_unsure),
        left_low=_left(ends[0], waiting, is_unsure),
        left_high=_left(ends[1], waiting, is_unsure),
        rows=int(judged.sum() - is_excluded.sum()),
    )
    target = None if target_noise is None else outlook.target(target_noise)
    return Plan(
        judged=int(judged.sum()),
        left_out=int((~judged).sum()),
        settled=int((is_settled | is_excluded).sum()),
        excluded=int(is_excluded.sum()),
        unsure=int(is_unsure.sum()),
        waiting=len(waiting),
        steps=tuple(map(outlook.step, _stops(len(waiting), budget, target))),
        target=target,
    )


def shifted(probability: Floats, interval: tuple[float, float]) -> tuple[Floats, Floats]:
    """The probabilities (m,) as they would be at either end of the noise rate's interval.

    The lower bound is never above the probabilities, the upper one never below.
    """
    if not len(probability):
        return probability, probability
    sure = np.clip(probability, NEVER_SURE, 1 - NEVER_SURE)
    odds = np.log(sure / (1 - sure))
    low, high = (_with_mean(odds, share) for share in interval)
    return np.minimum(low, probability), np.maximum(high, probability)


def _with_mean(odds: Floats, share: float) -> Floats:
    below, above = -ODDS_RANGE, ODDS_RANGE
    distinct, counts = np.unique(odds, return_counts=True)  # few, where they were calibrated
    for _ in range(60):  # halvings: to the last digit of a float
        middle = (below + above) / 2
        if _probability(distinct + middle) @ counts < share * len(odds):
            below = middle
        else:
            above = middle
    return _probability(odds + (below + above) / 2)


def _probability(odds: Floats) -> Floats:
    return np.asarray(1 / (1 + np.exp(-odds)), dtype=np.float64)


def _left(probability: Floats, waiting: Ints, is_unsure: NDArray[np.bool_]) -> Floats:
    """Summed from the end, so that nothing but the unsure is left after the last row."""
    left = np.zeros(len(waiting) + 1)
    left[:-1] = np.cumsum(probability[waiting][::-1])[::-1]
    left += probability[is_unsure].sum()
    return left


def _stops(waiting: int, budget: int | None, target: Target | None) -> list[int]:
    """Where the plan is looked at: now, and then as asked."""
    stops = {0}
    if budget is not None:
        stops.add(min(budget, waiting))
    if target is not None:
        wanted = (target.images, target.images_at_most)
        stops |= {waiting if images is None else images for images in wanted}
    if budget is None and target is None:
        stops |= {waiting, *_round_numbers(waiting)}
    return sorted(stops)


def _round_numbers(most: int) -> Sequence[int]:
    """1, 2, 5, 10, ... below `most`, from a small part of it on."""
    powers = range(len(str(most)))
    numbers = [digit * 10**power for power in powers for digit in (1, 2, 5)]
    return [number for number in numbers if max(1, most / FEWEST) <= number < most]


def plan_text(plan: Plan) -> str:
    """The plan for people: what there is, one line a step, and what the target takes."""
    done = f"{plan.settled:,} decided"
    done += f" ({plan.excluded:,} of them excluded)" if plan.excluded else ""
    done += f", {plan.unsure:,} unsure" if plan.unsure else ""
    lines = [
        f"labels:  {plan.judged:,} judged, {plan.left_out:,} left out",
        f"so far:  {done}, {plan.waiting:,} to look at",
        "",
        f"{'look at':>10} {'wrong found':>12}   {'labels still wrong':24} {'last one wrong':>14}",
    ]
    for step in plan.steps:
        low, high = step.noise_interval
        noise = f"{step.noise:.2%} ({low:.2%} to {high:.2%})"
        last = "" if step.last_probability is None else f"{step.last_probability:.1%}"
        lines.append(f"{step.images:>10,} {step.found:>12,.0f}   {noise:24} {last:>14}".rstrip())
    if plan.target is not None:
        lines += ["", _target_line(plan.target, plan.steps)]
    return "\n".join(lines)


def _target_line(target: Target, steps: Sequence[Step]) -> str:
    aim = f"{target.noise:.2%}"
    if target.images is None:
        return (
            f"{aim} is out of reach: {steps[-1].noise:.2%} remain when all have been looked at, "
            "in the images marked unsure"
        )
    line = f"{aim} or less: look at {target.images:,} images"
    if target.images_at_most is None:
        return f"{line}; at the upper end of the interval out of reach, for the unsure ones"
    return f"{line}, {target.images_at_most:,} to be safe (upper end of the interval)"
