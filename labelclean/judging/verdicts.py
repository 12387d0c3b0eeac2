"""From what a network says of every row to verdicts, suggestions and the share of wrong labels."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from sklearn.isotonic import IsotonicRegression

from labelclean.config import VerdictConfig
from labelclean.judging import noise_model
from labelclean.judging.candidates import (
    Candidates,
    Floats,
    Ints,
    gather_candidates,
    log_probs,
    training_gain,
)
from labelclean.judging.conflicts import resolve
from labelclean.judging.noise_model import Fit
from labelclean.judging.transitions import (
    FullTransition,
    Transition,
    count_transitions,
    shrunk_rows,
)
from labelclean.judging.tuned import TUNED, NoiseModelConfig
from labelclean.predictions import Predictions

FIT_ROWS = 10_000  # the model has few parameters; more for many classes
MATRIX_CLASSES = 1_000  # with more, the matrix, a million cells, is not given out
ABSURD = 0.9  # noise rate that is believed only if nothing else explains the labels
CHUNK = 200_000  # rows at once: bounds the memory
RANK_SHARE = 1e-3  # of label_score: keeps rows of equal probability in order
PAIRS = 10
FEWEST_PLANTED = 40  # planted labels that the training gain can be read off

Flags = NDArray[np.bool_]
Singles = NDArray[np.float32]


@dataclass(frozen=True, kw_only=True)
class Pair:
    """Rows with the label `given` that are judged to be `suggested`; share of that label's rows."""

    given: int
    suggested: int
    count: int
    share: float


@dataclass(frozen=True, kw_only=True)
class Verdicts:
    """The verdict on every row, and on all together.

    label_score            (n,)    0 to 1, low is suspicious; NaN where there is nothing to judge
    issue_probability      (n,)    calibrated; never rises with label_score
    is_label_issue         (n,)
    flagged_from           least issue probability of a flagged row by the rule; None: it has none
    suggested              (n,)    the given label where it is judged right; -1: unknown
    suggested_probability  (n,)
    second                 (n,)    the class that comes next; -1: unknown
    noise_rate             share of wrong labels among the judged rows, with its interval
    transition_matrix      (c, c)  rows: true class, columns: given label; None: many classes
    confusable_pairs       those with the most rows first
    """

    label_score: Floats
    issue_probability: Floats
    is_label_issue: Flags
    flagged_from: float | None
    suggested: Ints
    suggested_probability: Floats
    second: Ints
    noise_rate: float
    noise_rate_interval: tuple[float, float]
    transition_matrix: Floats | None
    confusable_pairs: tuple[Pair, ...]


def decide(
    labels: Ints,
    outputs: Predictions,
    *,
    num_classes: int,
    verdict: VerdictConfig,
    first: Ints | None = None,
    seed: int = 0,
    config: NoiseModelConfig = TUNED,
) -> Verdicts:
    """Judges every label.

    labels  (n,)  given, -1: none
    first   (n,)  first row of the same content (find_duplicates); None: all differ
    """
    p_given, epoch_p_given = outputs.p_given, outputs.epoch_p_given
    labels = np.asarray(labels, dtype=np.int64)
    judged = _judged(labels, outputs)
    state = _unjudged(labels, outputs, num_classes)
    if not len(judged):
        return state
    model = _fit(labels, outputs, judged, num_classes, seed, config)
    posteriors = _posteriors(labels, outputs, judged, model, num_classes)
    if outputs.ranking is not None:
        again = _fit(labels, outputs.ranking, judged, num_classes, seed, config)
        ranked = _posteriors(labels, outputs.ranking, judged, again, num_classes)
        posteriors = replace(ranked, wrong=posteriors.wrong, counts=posteriors.counts)
    probability = _along(posteriors.ranks, posteriors.wrong)
    if first is not None:
        everywhere = np.full(len(labels), np.nan)
        everywhere[judged] = probability
        probability = resolve(everywhere, first, labels)[judged]
    order = np.lexsort((judged, posteriors.ranks, -probability))
    place = np.empty(len(judged))
    place[order] = np.arange(1, len(judged) + 1) / len(judged)
    # the paper's p_y is the mean over epochs, where there is one
    mean_p = np.where(np.isfinite(epoch_p_given[judged]), epoch_p_given[judged], p_given[judged])
    limit = _limit(verdict, probability[order], config)
    is_issue = _verdict(verdict, order, probability, mean_p, limit)
    given, best = labels[judged], posteriors.best
    noise_rate = float(probability.mean())

    state.label_score[judged] = (1 - RANK_SHARE) * (1 - probability) + RANK_SHARE * place
    state.issue_probability[judged] = probability
    state.is_label_issue[judged] = is_issue
    state.suggested[judged] = np.where(is_issue, best, given)
    state.suggested_probability[judged] = np.where(
        is_issue, probability * posteriors.best_share, 1 - probability
    )
    stays = is_issue & (1 - probability >= probability * (1 - posteriors.best_share))
    state.second[judged] = np.where(is_issue, np.where(stays, given, posteriors.second), best)
    return replace(
        state,
        flagged_from=limit,
        noise_rate=noise_rate,
        noise_rate_interval=noise_model.interval(model, len(judged), seed),
        transition_matrix=None
        if posteriors.counts is None
        else shrunk_rows(posteriors.counts, config),
        confusable_pairs=_pairs(given[is_issue], best[is_issue], np.bincount(given)),
    )


def transition(labels: Ints, outputs: Predictions, num_classes: int, seed: int) -> Transition:
    """The transition matrix that these predictions of the labels (n,) show."""
    alone = replace(outputs, ranking=None)  # the matrix is not of what ranks
    if num_classes > MATRIX_CLASSES:
        judged = _judged(labels, alone)
        return _fit(labels, alone, judged, num_classes, seed, TUNED).best.transition
    decided = decide(labels, alone, num_classes=num_classes, verdict=VerdictConfig(), seed=seed)
    if decided.transition_matrix is None:
        raise ValueError(f"no matrix of {num_classes} classes")
    return FullTransition(decided.transition_matrix)


def _judged(labels: Ints, outputs: Predictions) -> Ints:
    """Rows that have a label and that the network saw."""
    is_seen = (outputs.top_classes[:, 0] >= 0) & np.isfinite(outputs.p_given)
    return np.flatnonzero(is_seen & np.isfinite(outputs.margin) & (labels >= 0))


def _fit(
    labels: Ints,
    outputs: Predictions,
    judged: Ints,
    num_classes: int,
    seed: int,
    config: NoiseModelConfig,
) -> Fit:
    """The noise models that a sample of the judged rows leaves open."""
    sample = _sample(judged, num_classes, seed)
    return _fitted(*_candidates(labels, outputs, sample, num_classes), num_classes, config)


def _unjudged(labels: Ints, outputs: Predictions, num_classes: int) -> Verdicts:
    """No row judged: the given labels stay, unlabelled rows get what the network says."""
    count = len(labels)
    tops = outputs.top_classes.astype(np.int64)
    suggested = np.where(labels >= 0, labels, tops[:, 0])
    probability = np.where(
        (labels < 0) & (tops[:, 0] >= 0), outputs.top_probs[:, 0].astype(np.float64), np.nan
    )
    second = np.full(count, -1, dtype=np.int64)
    if tops.shape[1] > 1:
        second = np.where(labels < 0, tops[:, 1], np.where(tops[:, 0] == labels, -1, tops[:, 0]))
    return Verdicts(
        label_score=np.full(count, np.nan),
        issue_probability=np.full(count, np.nan),
        is_label_issue=np.zeros(count, dtype=np.bool_),
        flagged_from=None,
        suggested=suggested,
        suggested_probability=probability,
        second=second,
        noise_rate=0.0,
        noise_rate_interval=(0.0, 1.0),
        transition_matrix=np.eye(num_classes) if num_classes <= MATRIX_CLASSES else None,
        confusable_pairs=(),
    )


def _sample(rows: Ints, num_classes: int, seed: int) -> Ints:
    count = max(FIT_ROWS, 100 * num_classes)
    if len(rows) <= count:
        return rows
    generator = np.random.Generator(np.random.PCG64(seed))
    return np.sort(generator.choice(rows, count, replace=False, shuffle=False))


def _candidates(
    labels: Ints, outputs: Predictions, rows: Ints, num_classes: int, with_others: bool = True
) -> tuple[Candidates, tuple[Ints, Floats] | None]:
    candidates = gather_candidates(
        labels[rows],
        outputs.p_given[rows],
        outputs.top_classes[rows],
        outputs.top_probs[rows],
        num_classes,
        _is_trained(outputs, rows),
    )
    if not with_others or not outputs.other_classes.shape[1]:
        return candidates, None
    probs = outputs.other_probs[rows].astype(np.float64)
    scores = log_probs(probs, num_classes) - candidates.mean[:, None]
    return candidates, (outputs.other_classes[rows].astype(np.int64), scores)


def _fitted(
    candidates: Candidates,
    others: tuple[Ints, Floats] | None,
    num_classes: int,
    config: NoiseModelConfig,
) -> Fit:
    """The noise models that the data leave open, without the training gain that is believed."""
    gain, full = _gain(candidates, others, num_classes, config)
    if full is not None and gain == 0:
        return full
    return noise_model.fit(candidates, num_classes, gain, config)


def _gain(
    candidates: Candidates,
    others: tuple[Ints, Floats] | None,
    num_classes: int,
    config: NoiseModelConfig,
) -> tuple[float, Fit | None]:
    """The training gain that is believed, and the fit with the whole gain if that is none."""
    whole = training_gain(candidates, num_classes, others)
    full = noise_model.fit(candidates, num_classes, whole, config)
    if whole == 0:
        return 0.0, full
    if full.rate > ABSURD:  # right labels that the network misses were taken for memorised ones
        without = noise_model.fit(candidates, num_classes, 0.0, config)
        if without.rate <= ABSURD:
            return 0.0, without
    return whole * config.unseen_gain * noise_model.share_of_gain(full, candidates), None


def planted_gain(
    labels: Ints, outputs: Predictions, planted_rows: Ints, num_classes: int, seed: int
) -> float:
    """Memorisation gain of planted wrong labels: added log-probability, in nats.

    labels        (n,) that were trained on
    planted_rows  (p,) rows whose label was planted; too few: all rows are looked at
    """
    judged = np.flatnonzero((labels >= 0) & np.isfinite(outputs.p_given))
    sample = _sample(judged, num_classes, seed)
    if len(planted_rows) < FEWEST_PLANTED:
        return _gain(*_candidates(labels, outputs, sample, num_classes), num_classes, TUNED)[0]
    sample = np.union1d(sample, planted_rows)
    candidates, others = _candidates(labels, outputs, sample, num_classes)
    is_planted = np.isin(sample, planted_rows)
    return training_gain(candidates, num_classes, others, is_planted)


@dataclass(frozen=True, kw_only=True)
class _Posteriors:
    """The model's posteriors of the judged rows.

    ranks       (m,)    high is right
    wrong       (m,)    probability that the given label is wrong, by the row alone
    best        (m,)    the likeliest other class; best_share: its share of `wrong`
    second      (m,)    the class after that
    counts      (c, c)  expected rows by true class and given label; None: many classes
    """

    ranks: Floats
    wrong: Floats
    best: Ints
    best_share: Floats
    second: Ints
    counts: Floats | None


def _posteriors(
    labels: Ints, outputs: Predictions, judged: Ints, model: Fit, num_classes: int
) -> _Posteriors:
    best_model = model.best
    ranks = best_model.sharpness * _evidence(outputs, judged, best_model.gain)
    weight = best_model.transition.concentration()
    wrong, best_share = np.empty((2, len(judged)))
    best, second = np.empty((2, len(judged)), dtype=np.int64)
    counts = matrix = None
    if num_classes <= MATRIX_CLASSES:
        matrix, counts = best_model.transition.matrix(), np.zeros((num_classes, num_classes))
    for begin in range(0, len(judged), CHUNK):
        part = slice(begin, begin + CHUNK)
        some, _ = _candidates(labels, outputs, judged[part], num_classes, with_others=False)
        of_some = noise_model.posterior(model, some)
        wrong[part] = 1 - of_some.candidates[:, 0]
        # Weighted by how concentrated the noise is: under uniform noise the estimated matrix adds
        # more error than information.
        ranks[part] -= weight * noise_model.against(of_some)
        if matrix is not None and counts is not None:
            counts += count_transitions(some, of_some.candidates, of_some.rest, matrix)
        best[part], best_share[part], second[part] = _alternatives(some, of_some.candidates)
    return _Posteriors(
        ranks=ranks, wrong=wrong, best=best, best_share=best_share, second=second, counts=counts
    )


def _evidence(outputs: Predictions, rows: Ints, gain: float) -> Floats:
    """Mean of the log-odds of the given label and its margin over the sources: high is right.

    The mean ranks better than any of its parts: they err at different rows.
    """
    evidence = _log_odds_and_margin(outputs.p_given[rows], outputs.margin[rows])
    epochs = _log_odds_and_margin(outputs.epoch_p_given[rows], outputs.epoch_margin[rows])
    return np.where(_is_trained(outputs, rows), (evidence + epochs) / 2, evidence + gain)


def _log_odds_and_margin(p_given: Singles, margin: Singles) -> Floats:
    p = p_given.astype(np.float64)
    return (np.log(p + 1e-5) - np.log(1 - p + 1e-5) + margin) / 2


def _is_trained(outputs: Predictions, rows: Ints) -> Flags:
    return np.isfinite(outputs.epoch_margin[rows])


def _alternatives(candidates: Candidates, shares: Floats) -> tuple[Ints, Floats, Ints]:
    """The best other class, its share of what the given label does not have, and the next one."""
    rows = np.arange(len(shares))
    others = np.where(candidates.classes[:, 1:] >= 0, shares[:, 1:], -1.0)
    best = others.argmax(axis=1)
    left = np.maximum(1 - shares[:, 0], 1e-300)
    share = np.clip(others[rows, best] / left, 0.0, 1.0)
    without = others.copy()
    without[rows, best] = -2.0
    next_best = without.argmax(axis=1)
    listed = candidates.classes[:, 1:]
    second = np.where(without[rows, next_best] >= 0, listed[rows, next_best], listed[rows, best])
    if listed.shape[1] == 1:
        second = candidates.classes[:, 0]
    return listed[rows, best], share, second


def _along(ranks: Floats, wrong: Floats) -> Floats:
    """Probabilities (m,) of being wrong as a falling function of the ranking."""
    fitted = IsotonicRegression(increasing=False, y_min=0.0, y_max=1.0).fit(ranks, wrong)
    return np.asarray(fitted.predict(ranks), dtype=np.float64)


def _limit(verdict: VerdictConfig, falling: Floats, config: NoiseModelConfig) -> float | None:
    """The issue probability from which on rows are flagged; None where another rule says which.

    falling  (m,)  probabilities, the highest first

    Unless one is given it is where the F1 that the probabilities let expect is highest: at half of
    that F1 (Lipton et al. 2014, theorem 1), so never above one half.
    """
    if verdict.threshold is not None:
        return verdict.threshold
    others = (verdict.budget, verdict.target_precision, verdict.gamma)
    if any(each is not None for each in others):
        return None
    expected_f1 = 2 * np.cumsum(falling) / (np.arange(1, len(falling) + 1) + falling.sum())
    return max(config.least_flagged, float(expected_f1.max()) / 2)


def _verdict(
    verdict: VerdictConfig,
    order: Ints,
    probability: Floats,
    p_given: Singles,
    limit: float | None,
) -> Flags:
    """Which rows are issues, by the rule that is asked for.

    order  (m,)  rows from the most suspicious one on
    """
    is_issue = np.zeros(len(order), dtype=np.bool_)
    if limit is not None:
        is_issue = probability >= limit
    elif verdict.budget is not None:
        is_issue[order[: verdict.budget]] = True
    elif verdict.target_precision is not None:
        precision = np.cumsum(probability[order]) / np.arange(1, len(order) + 1)
        reached = np.flatnonzero(precision >= verdict.target_precision)
        is_issue[order[: reached[-1] + 1 if len(reached) else 0]] = True
    elif verdict.gamma is not None:
        is_issue = p_given < verdict.gamma
    return is_issue


def _pairs(given: Ints, suggested: Ints, sizes: Ints) -> tuple[Pair, ...]:
    pairs, counts = np.unique(np.stack([given, suggested], axis=1), axis=0, return_counts=True)
    most = np.argsort(-counts, kind="stable")[:PAIRS]
    return tuple(
        Pair(given=a, suggested=b, count=count, share=count / int(sizes[a]))
        for (a, b), count in zip(pairs[most].tolist(), counts[most].tolist(), strict=True)
    )
