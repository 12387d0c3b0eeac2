"""New verdicts from a person's decisions: what they change in a linear model of frozen features."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cho_factor, cho_solve
from scipy.optimize import minimize
from scipy.special import expit

Bools = NDArray[np.bool_]
Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

BLOCK = 4096  # rows at once
ABSENT = -1  # code of a label or suggestion that is not there
NEVER_SURE = 1e-4  # no report is surer than this
UNKNOWN_SHARE = 0.7  # of a row that is judged right: its second label's share of the other labels
OF_COPY = 0.03  # chance that two nearly equal images have different labels


@dataclass(frozen=True, kw_only=True)
class UpdateConfig:
    """How strongly decisions count.

    Chosen on seed 1 of examples/benchmark/results/review_gain.csv and on four older reports; seeds
    2 and 3 are held out. The gain is flat: half or double of each changes it by less than 1 %.

    ridge     added to the mean of the squared features, a share of it
    weight    of a decided row, as if it were there so often
    strength  log-odds for a step of 1 in the linear model's output
    spread    deviation, in log-odds, that a pair of labels may have from the report's calibration
    """

    ridge: float = 0.1
    weight: float = 10.0
    strength: float = 3.0
    spread: float = 0.3


@dataclass(frozen=True, kw_only=True)
class Beliefs:
    """A report's beliefs about each row; codes are of labels, ABSENT where there is none.

    given, suggested, second  (n,)
    chance     (n,) issue probability, NaN where not judged
    sure       (n,) probability of the suggested label, NaN where not judged
    is_issue   (n,)
    group      (n,) first row of the same or nearly the same image
    """

    given: Ints
    suggested: Ints
    second: Ints
    chance: Floats
    sure: Floats
    is_issue: Bools
    group: Ints
    num_classes: int

    @property
    def is_judged(self) -> Bools:
        return ~np.isnan(self.chance) & (self.given >= 0)

    @property
    def other(self) -> Ints:
        """(n,) the likeliest label besides the given one, ABSENT where the report names none."""
        other = np.where(self.suggested != self.given, self.suggested, self.second)
        return np.where(other == self.given, ABSENT, other)


@dataclass(frozen=True, kw_only=True)
class Updated:
    """New verdicts for every row; of unjudged ones as they were.

    chance, sure              (n,) NaN where not judged
    suggested, second         (n,) codes
    is_issue                  (n,)
    noise_rate                by decisions where there are any, by the new chances elsewhere
    """

    chance: Floats
    sure: Floats
    suggested: Ints
    second: Ints
    is_issue: Bools
    noise_rate: float


@dataclass(frozen=True)
class _Part:
    """Some rows (b,) and their features (b, f)."""

    rows: Ints
    features: NDArray[np.float32]


class Updater:
    """Keeps what does not change between updates: moments of the features and the first fit.

    features  (n, f) of a network, a NaN row where there is no image

    A ridge regression on the report's own beliefs is fitted twice, without and with the decisions.
    What the decisions change in its outputs is added to the report's log-probabilities: nothing
    moves without a decision, and the report's judgement stays where the decisions say nothing.
    """

    def __init__(
        self,
        features: NDArray[np.floating],
        beliefs: Beliefs,
        config: UpdateConfig | None = None,
    ) -> None:
        self._features = features
        self._beliefs = beliefs
        self._config = config or UpdateConfig()
        self._fit()

    def update(self, rows: Ints, labels: Ints) -> Updated:
        """From decided rows (k,) and their labels (k,), ABSENT for an excluded image."""
        beliefs, config = self._beliefs, self._config
        learned = self._learn(rows, labels)
        offset = _calibrate(beliefs, rows, labels, config.spread)
        chance, other, share = self._posterior(learned, offset)
        _settle_copies(beliefs, rows, labels, chance, other, share)
        decided = np.zeros(len(chance), np.bool_)
        decided[rows] = True
        wrong = np.where(decided, 0.0, chance)
        wrong[rows] = beliefs.given[rows] != labels
        is_counted = beliefs.is_judged | decided
        return _verdicts(beliefs, chance, other, share, float(np.mean(wrong[is_counted])))

    def _fit(self) -> None:
        beliefs = self._beliefs
        total, squares = np.zeros(self._features.shape[1]), np.zeros(self._features.shape[1])
        count = 1e-9  # there may be no row
        for part in self._blocks():
            total += part.features.sum(axis=0)
            squares += np.square(part.features, dtype=np.float64).sum(axis=0)
            count += len(part.rows)
        mean = total / count
        deviation = np.sqrt(np.maximum(squares / count - mean**2, 0))
        self._mean = mean.astype(np.float32)
        self._scale = np.where(deviation > 1e-6, deviation, 1).astype(np.float32)
        width = len(self._mean) + 1
        gram = np.zeros((width, width), np.float32)
        targets = np.zeros((width, beliefs.num_classes), np.float32)
        for part in self._blocks():
            x = self._standardised(part.features)
            gram += x.T @ x
            targets += x.T @ self._prior_of(part.rows)
        spread = float(np.trace(gram)) / width
        gram[np.diag_indices(width)] += self._config.ridge * spread
        self._gram, self._targets = gram, targets
        self._weights: NDArray[np.float32] = cho_solve(
            cho_factor(gram, check_finite=False), targets
        )

    def _learn(self, rows: Ints, labels: Ints) -> NDArray[np.float32]:
        """(f + 1, c) weights with the decisions; an excluded image says nothing of a class."""
        is_known = (labels >= 0) & np.isfinite(np.asarray(self._features[rows]).sum(axis=1))
        rows, labels = rows[is_known], labels[is_known]
        if not len(rows):
            return self._weights
        x = self._standardised(np.asarray(self._features[rows], np.float32))
        weight = np.float32(self._config.weight)
        certain = np.zeros((len(rows), self._beliefs.num_classes), np.float32)
        certain[np.arange(len(rows)), labels] = 1
        gram = self._gram + (weight - 1) * (x.T @ x)
        targets = self._targets + x.T @ (weight * certain - self._prior_of(rows))
        weights: NDArray[np.float32] = cho_solve(cho_factor(gram, check_finite=False), targets)
        return weights

    def _posterior(
        self, learned: NDArray[np.float32], offset: Floats
    ) -> tuple[Floats, Ints, Floats]:
        """(n,) chance to be wrong, the likeliest other label, and its share of that chance."""
        beliefs = self._beliefs
        chance, share = beliefs.chance.copy(), np.full(len(beliefs.given), np.nan)
        other = beliefs.other.copy()
        change = (learned - self._weights) * np.float32(self._config.strength)
        for part in self._blocks():
            rows = np.arange(len(part.rows))
            given = beliefs.given[part.rows]
            shift = self._standardised(part.features) @ change
            log_p = np.log(np.maximum(self._prior_of(part.rows), 1e-7)) + shift
            log_p[rows, given] -= offset[part.rows]
            p = np.exp(log_p - log_p.max(axis=1, keepdims=True))
            p /= p.sum(axis=1, keepdims=True)
            chance[part.rows] = 1 - p[rows, given]
            p[rows, given] = 0
            other[part.rows] = p.argmax(axis=1)
            share[part.rows] = p.max(axis=1) / np.maximum(p.sum(axis=1), 1e-12)
        return chance, other, share

    def _blocks(self) -> Iterator[_Part]:
        """The judged rows that have features, some at a time."""
        judged = np.flatnonzero(self._beliefs.is_judged)
        for at in range(0, len(judged), BLOCK):
            rows = judged[at : at + BLOCK]
            features = np.asarray(self._features[rows], np.float32)
            is_there = np.isfinite(features).all(axis=1)
            yield _Part(rows[is_there], features[is_there])

    def _standardised(self, features: NDArray[np.float32]) -> NDArray[np.float32]:
        """(b, f + 1) with a column of ones for the intercept."""
        seen = (features - self._mean) / self._scale
        return np.hstack([seen, np.ones((len(features), 1), np.float32)])

    def _prior_of(self, rows: Ints) -> NDArray[np.float32]:
        """(b, c) the report's probability of each class."""
        beliefs = self._beliefs
        count, classes = len(rows), beliefs.num_classes
        given, other = beliefs.given[rows], beliefs.other[rows]
        chance = np.clip(beliefs.chance[rows], NEVER_SURE, 1 - NEVER_SURE)
        with np.errstate(invalid="ignore"):
            of_issues = np.clip(beliefs.sure[rows] / chance, 0.0, 1.0)
        share = np.where(beliefs.is_issue[rows], of_issues, UNKNOWN_SHARE)
        share = np.where(other >= 0, np.nan_to_num(share, nan=UNKNOWN_SHARE), 0.0)
        if classes == 2:
            share = np.where(other >= 0, 1.0, 0.0)
        rest = classes - 1 - (other >= 0)
        p = np.repeat((chance * (1 - share) / np.maximum(1, rest))[:, None], classes, axis=1)
        at = np.arange(count)
        has_other = np.flatnonzero(other >= 0)
        p[has_other, other[has_other]] = (chance * share)[has_other]
        p[at, given] = 1 - chance
        return p.astype(np.float32)


def _calibrate(beliefs: Beliefs, rows: Ints, labels: Ints, spread: float) -> Floats:
    """(n,) log-odds to be wrong that decisions add for a given label and for a pair of labels.

    The most probable shifts, if each is normal with that spread around the report's calibration.
    """
    offset = np.zeros(len(beliefs.given))
    rows_used = rows[beliefs.is_judged[rows]]
    labels = labels[beliefs.is_judged[rows]]
    if not len(rows_used):
        return offset
    pair = beliefs.given * (beliefs.num_classes + 1) + beliefs.other + 1
    given_seen, given_code = np.unique(beliefs.given[rows_used], return_inverse=True)
    pair_seen, pair_code = np.unique(pair[rows_used], return_inverse=True)
    chance = np.clip(beliefs.chance[rows_used], NEVER_SURE, 1 - NEVER_SURE)
    odds = np.log(chance / (1 - chance))
    wrong = (labels != beliefs.given[rows_used]).astype(np.float64)
    split = len(given_seen)

    def loss(shifts: Floats) -> tuple[float, Floats]:
        logit = odds + shifts[:split][given_code] + shifts[split:][pair_code]
        error = expit(logit) - wrong
        gradient = shifts / spread**2
        np.add.at(gradient, given_code, error)
        np.add.at(gradient, split + pair_code, error)
        value = np.logaddexp(0, logit).sum() - (wrong * logit).sum()
        return float(value + (shifts**2).sum() / (2 * spread**2)), gradient

    start = np.zeros(split + len(pair_seen))
    shifts = minimize(loss, start, jac=True, method="L-BFGS-B").x
    for seen, codes, values in (
        (given_seen, beliefs.given, shifts[:split]),
        (pair_seen, pair, shifts[split:]),
    ):
        at = np.clip(np.searchsorted(seen, codes), 0, len(seen) - 1)
        offset += np.where(seen[at] == codes, values[at], 0.0)
    return offset


def _settle_copies(
    beliefs: Beliefs, rows: Ints, labels: Ints, chance: Floats, other: Ints, share: Floats
) -> None:
    """Gives near copies of a decided image its label, in place."""
    label_of = dict(zip(beliefs.group[rows].tolist(), labels.tolist(), strict=True))
    copies = np.flatnonzero(np.isin(beliefs.group, list(label_of)) & beliefs.is_judged)
    for row in copies.tolist():
        label = label_of[int(beliefs.group[row])]
        if label < 0:
            continue
        is_wrong = label != beliefs.given[row]
        chance[row] = 1 - OF_COPY if is_wrong else OF_COPY
        if is_wrong:
            other[row], share[row] = label, 1.0


def _verdicts(
    beliefs: Beliefs, chance: Floats, other: Ints, share: Floats, noise_rate: float
) -> Updated:
    """Suggestions as in a report: flagged rows name the likeliest other label, others their own."""
    judged = beliefs.is_judged & ~np.isnan(share)
    flagged = beliefs.chance[beliefs.is_issue & beliefs.is_judged]
    limit = float(flagged.min()) if len(flagged) else 0.5
    is_issue = np.where(judged, (chance >= limit) & (other >= 0), beliefs.is_issue)
    return Updated(
        chance=chance,
        sure=np.where(judged, np.where(is_issue, chance * share, 1 - chance), beliefs.sure),
        suggested=np.where(judged, np.where(is_issue, other, beliefs.given), beliefs.suggested),
        second=np.where(judged, np.where(is_issue, beliefs.given, other), beliefs.second),
        is_issue=is_issue,
        noise_rate=noise_rate,
    )
