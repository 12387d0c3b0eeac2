"""How labels came to be wrong, fitted to what networks say: P(true class | image, given label).

The true class follows softmax(sharpness * score) of an image, the given label is drawn from the
true class's row of a transition matrix. Matrix and sharpness are those under which the given labels
are likely (forward correction, Patrini et al. 2017, with both unknown). Few images do not tell a
network that errs from labels that are wrong: so there is a prior on how sure a network may be of
its surest images, and all results are averaged over the sharpnesses that the data leave open.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from labelclean.judging.candidates import Candidates, Floats
from labelclean.judging.sparse_transition import SparseTransition
from labelclean.judging.transitions import FullTransition, Transition
from labelclean.judging.tuned import TUNED, NoiseModelConfig

SHARPNESS = np.geomspace(16.0, 0.2, 24)  # where the true sharpness may lie
STEPS = 30  # of expectation-maximisation, fewer where the likelihood of a row stays the same
CONVERGED = 2e-5  # nats
RIGHT_AT_FIRST = 0.85  # share of right labels of each class that it begins with
FULL_CLASSES = 200  # with more, only some cells of the transition matrix are kept
LEAST_WEIGHT = 0.02  # of a sharpness that is kept, as a share of the most likely one's
_NODES = ((-np.sqrt(3.0), 1 / 6), (0.0, 2 / 3), (np.sqrt(3.0), 1 / 6))  # Gauss-Hermite, 3 points


@dataclass(frozen=True, kw_only=True)
class NoiseModel:
    """gain: what being trained on adds to a label's score; transition: true → given."""

    gain: float
    sharpness: float
    transition: Transition
    config: NoiseModelConfig = TUNED


@dataclass(frozen=True)
class Fit:
    """The noise models that the data leave open, the likeliest first, and their weights (k,).

    rates   (k,)  share of wrong labels by each
    errors  share of the images that the network is expected to err on, by the likeliest
    """

    models: tuple[NoiseModel, ...]
    weights: Floats
    rates: Floats
    errors: float

    @property
    def best(self) -> NoiseModel:
        return self.models[0]

    @property
    def rate(self) -> float:
        return float(self.weights @ self.rates)


@dataclass(frozen=True)
class Posterior:
    """Probabilities per row, before and after the given label is known.

    prior       (m, q)  of each candidate by the image alone
    candidates  (m, q)  of each candidate by image and given label; the first is the given label's
    rest        (m,)    of all classes not listed, together
    likelihood  (m,)    natural logarithm of the given label's probability
    """

    prior: Floats
    candidates: Floats
    rest: Floats
    likelihood: Floats


def share_of_gain(full: Fit, candidates: Candidates) -> float:
    """How much of training_gain to believe, given the model that believes all of it.

    Right labels that the network misses score high as well, and look like wrong ones learned by
    heart. How many it misses is by the model the mean of 1 - max p(class | image): where that
    explains all that it rejects, nothing is left for a gain. The bounds are from CIFAR-10 runs with
    all, some and none of their wrong labels, of all three methods, and from simulations.
    """
    trained = candidates.take(np.flatnonzero(candidates.is_trained))
    rejected = (trained.scores.argmax(axis=1) > 0).mean() if len(trained.classes) else 0.0
    if rejected == 0:
        return 0.0
    expected = 1 - posterior(full, trained).prior.max(axis=1).mean()
    low, high = full.best.config.own_errors
    return float(np.clip((high - expected / rejected) / (high - low), 0, 1))


def posterior(
    model: NoiseModel | Fit, candidates: Candidates, by_image: tuple[Floats, Floats] | None = None
) -> Posterior:
    """Posterior of every row by the model, or by all models that the data leave open.

    by_image  P(true class | image) of this model if it is known: the matrix does not change it
    """
    if isinstance(model, Fit):
        each = [posterior(one, candidates) for one in model.models]
        likelihoods = np.stack([part.likelihood for part in each])
        return Posterior(
            _mean(model.weights, [part.prior for part in each]),
            _mean(model.weights, [part.candidates for part in each]),
            _mean(model.weights, [part.rest for part in each]),
            np.log(_mean(model.weights, list(np.exp(likelihoods)))),
        )
    prior, rest = by_image or _prior(model, candidates)
    flips, rest_flips = model.transition.flips(candidates)
    joint, joint_rest = prior * flips, rest * rest_flips
    likelihood = np.maximum(joint.sum(axis=1) + joint_rest, 1e-300)
    return Posterior(
        prior, joint / likelihood[:, None], joint_rest / likelihood, np.log(likelihood)
    )


def _prior(model: NoiseModel, candidates: Candidates) -> tuple[Floats, Floats]:
    """P(true class | image) of each candidate (m, q), and of each class not listed (m,).

    A mean over sharpnesses of the row: one for all would be overconfident at both ends.
    """
    scores = _without_gain(model, candidates)
    prior, rest = np.zeros_like(scores), np.zeros(len(scores))
    for node, weight in _NODES:
        sharpness = model.sharpness * np.exp(model.config.spread * node)
        logits, rest_logits = sharpness * scores, sharpness * candidates.rest
        top = np.maximum(logits.max(axis=1), rest_logits)
        listed = np.exp(logits - top[:, None])
        other = np.exp(rest_logits - top)
        total = listed.sum(axis=1) + candidates.rest_count * other
        prior += weight * listed / total[:, None]
        rest += weight * other / total
    return prior, rest


def _mean(weights: Floats, each: list[Floats]) -> Floats:
    total: Floats = sum(
        (weight * values for weight, values in zip(weights.tolist(), each, strict=True)),
        start=np.zeros_like(each[0]),
    )
    return total


def _without_gain(model: NoiseModel, candidates: Candidates) -> Floats:
    scores = candidates.scores.copy()
    scores[:, 0] -= model.gain * candidates.is_trained
    return scores


def against(posterior: Posterior) -> Floats:
    """Log-odds shift (m,) towards "wrong" that comes from the transition matrix alone.

    High where a class that fits the image is often given this label.
    """
    before = posterior.prior[:, 0], 1 - posterior.prior[:, 0]
    after = posterior.candidates[:, 0], posterior.candidates[:, 1:].sum(axis=1) + posterior.rest
    odds = [np.log(right + 1e-12) - np.log(wrong + 1e-12) for right, wrong in (before, after)]
    difference: Floats = odds[0] - odds[1]
    return difference


def _maximise(
    model: NoiseModel, candidates: Candidates, steps: int
) -> tuple[NoiseModel, Posterior]:
    """Expectation-maximisation of the matrix; also what the model before the last step says."""
    by_image = _prior(model, candidates)
    beliefs = posterior(model, candidates, by_image)
    before = np.inf
    for _ in range(steps):
        transition = model.transition.learned(
            candidates, beliefs.candidates, beliefs.rest, model.config
        )
        model = replace(model, transition=transition)
        beliefs = posterior(model, candidates, by_image)
        likelihood = float(beliefs.likelihood.mean())
        if abs(likelihood - before) < CONVERGED:
            break
        before = likelihood
    return model, beliefs


def fit(
    candidates: Candidates, num_classes: int, gain: float, config: NoiseModelConfig = TUNED
) -> Fit:
    """The models under which the given labels are likely, at this training gain."""
    transition: Transition
    if num_classes <= FULL_CLASSES:
        transition = FullTransition.even(num_classes, RIGHT_AT_FIRST)
    else:
        transition = SparseTransition.even(candidates, num_classes, RIGHT_AT_FIRST)
    begin = NoiseModel(gain=gain, sharpness=1.0, transition=transition, config=config)
    each: list[tuple[float, float, float, NoiseModel]] = []
    # each from the beginning: the matrix of a sharpness that is far off leads astray
    for sharpness in SHARPNESS.tolist():
        model, posteriors = _maximise(replace(begin, sharpness=sharpness), candidates, STEPS)
        rate = float(1 - posteriors.candidates[:, 0].mean())
        log = float(posteriors.likelihood.sum()) + _log_prior(model, posteriors, rate)
        errors = float(1 - posteriors.prior.max(axis=1).mean())
        each.append((log, rate, errors, model))
        highest = max(log for log, *_ in each)
        each = [one for one in each if np.exp(one[0] - highest) >= LEAST_WEIGHT]
    each.sort(key=lambda one: -one[0])
    weights = np.exp(np.array([log for log, *_ in each]) - each[0][0])
    return Fit(
        tuple(model for *_, model in each),
        weights / weights.sum(),
        np.array([rate for _, rate, *_ in each]),
        each[0][2],
    )


def _log_prior(model: NoiseModel, posteriors: Posterior, rate: float) -> float:
    """Log prior of the share of wrong labels and of the doubt left about the surest images."""
    config, count = model.config, len(posteriors.prior)
    a, b = config.noise_prior
    rate = min(max(rate, 1e-4), 1 - 1e-4)
    surest = max(1, round(config.anchors * count))
    doubt = np.partition(1 - posteriors.prior.max(axis=1), surest - 1)[:surest].mean() + 1e-5
    usual = config.doubt_of_many + config.doubt_of_few / count
    distance = np.log(doubt / usual) / config.doubt_spread
    # data that are easier than usual are met now and then: below, the prior falls slowly
    penalty = distance**2 / 2 if distance > -1 else -distance - 0.5
    return float((a - 1) * np.log(rate) + (b - 1) * np.log(1 - rate) - penalty)


def interval(fitted: Fit, count: int, seed: int) -> tuple[float, float]:
    """95 % interval of the share of wrong labels among `count` rows.

    From the models that the data leave open, the chance of the draw, and the model's own error.
    Who labelled may have erred where the network errs: the data are as likely then, so that only
    the upper end can allow for it, by as many wrong labels again at most.
    """
    generator = np.random.Generator(np.random.PCG64(seed))
    rates = fitted.rates[generator.choice(len(fitted.rates), 2_000, p=fitted.weights)]
    deviation = np.sqrt(rates * (1 - rates) / count)
    drawn = rates + deviation * generator.standard_normal(2_000)
    low, high = np.quantile(drawn, [0.025, 0.975]).tolist()
    config = fitted.best.config
    more = config.model_error + config.model_error_of_few / np.sqrt(count)
    alike = min(config.errors_shared * fitted.errors, fitted.rate)
    return max(0.0, low - more), min(1.0, high + more + alike)
