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
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True, kw_only=True)
class NoiseModelConfig:
    """The tuned numbers of the noise model, and on what they were chosen.

    Chosen on what heads on frozen features say, out of fold, of grocery, flowers, CIFAR-10,
    Fashion-MNIST and digits with 0 to 60 % wrong labels, 60 to 4,000 images
    (trials on draws of them, nothing held out; examples/benchmark/few_photos.py prints what the
    numbers give); unseen_gain and own_errors on networks trained from scratch on CIFAR-10 and
    flowers.

    spread          deviation of log sharpness between rows: some images are harder than others
    pull            rows a class and class with which a row of the matrix is pulled to even noise
    dominance       a wrong label is at most this times as common as the right one
    noise_prior     Beta prior of the share of wrong labels: its mean is .25
    anchors         share of the rows, the surest ones, that the prior on doubt is about
    doubt_of_many   typical share of them that the network errs on, with many images;
    doubt_of_few    what each image less adds to it: doubt_of_many + doubt_of_few / images
    doubt_spread    deviation of its logarithm
    model_error     half width of the rate's interval from what the model leaves out, with many
                    images; model_error_of_few / sqrt(images) is added
    unseen_gain     wrong labels that were memorised so well that they lead are missing from the
                    estimate of the training gain: it is multiplied by this
    own_errors      ratio of expected own errors to rejections: below the first the whole gain is
                    used, above the second none
    """

    spread: float = 0.4
    pull: float = 3.0
    dominance: float = 0.8
    noise_prior: tuple[float, float] = (1.0, 3.0)
    anchors: float = 0.1
    doubt_of_many: float = 0.006
    doubt_of_few: float = 4.0
    doubt_spread: float = 0.6
    model_error: float = 0.015
    model_error_of_few: float = 0.8
    unseen_gain: float = 1.1
    own_errors: tuple[float, float] = (0.7, 1.05)


TUNED = NoiseModelConfig()
SHARPNESS = np.geomspace(16.0, 0.2, 24)  # where the true sharpness may lie
STEPS = 30  # of expectation-maximisation, fewer where the likelihood of a row stays the same
CONVERGED = 2e-5  # nats
LEAST_WEIGHT = 0.02  # of a sharpness that is kept, as a share of the most likely one's
_NODES = ((-np.sqrt(3.0), 1 / 6), (0.0, 2 / 3), (np.sqrt(3.0), 1 / 6))  # Gauss-Hermite, 3 points


@dataclass(frozen=True)
class Candidates:
    """The classes that may be true, and their log-probabilities less their mean over all classes.

    classes     (m, q)  the given label, then the most probable others; -1: none in this place
    scores      (m, q)  -inf where there is no class
    rest        (m,)    score of each class not listed
    rest_count  (m,)    how many are not listed
    mean        (m,)    what was taken off the log-probabilities
    is_trained  (m,)    the network was trained on this image with this label
    """

    classes: Ints
    scores: Floats
    rest: Floats
    rest_count: Floats
    mean: Floats
    is_trained: NDArray[np.bool_]

    def take(self, rows: Ints) -> Candidates:
        return Candidates(*(part[rows] for part in vars(self).values()))


@dataclass(frozen=True, kw_only=True)
class NoiseModel:
    """gain: what being trained on adds to a label's score; transition (c, c): true → given."""

    gain: float
    sharpness: float
    transition: Floats
    config: NoiseModelConfig = TUNED


@dataclass(frozen=True)
class Fit:
    """The noise models that the data leave open, the likeliest first, and their weights (k,).

    rates  (k,)  share of wrong labels by each
    """

    models: tuple[NoiseModel, ...]
    weights: Floats
    rates: Floats

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


def gather_candidates(
    labels: Ints,
    p_given: NDArray[np.float32],
    classes: NDArray[np.int32],
    probs: NDArray[np.float32],
    num_classes: int,
    is_trained: NDArray[np.bool_],
) -> Candidates:
    """The given label and some more classes of each row; what is left is spread evenly.

    labels   (m,)    given, in [0, c); -1: none
    p_given  (m,)    its probability
    classes  (m, k)  most probable classes, with probs (m, k)
    """
    listed = np.where(classes == labels[:, None], -1, classes).astype(np.int64)
    listed = np.concatenate([labels[:, None], listed], axis=1)
    known = listed >= 0
    values = np.concatenate([p_given[:, None], probs], axis=1).astype(np.float64)
    values = np.where(known, values, 0.0)
    rest_count = (num_classes - known.sum(axis=1)).astype(np.float64)
    left = np.maximum(1 - values.sum(axis=1), 0) / np.maximum(rest_count, 1)
    rest, scores = log_probs(left, num_classes), log_probs(values, num_classes)
    mean = (np.where(known, scores, 0).sum(axis=1) + rest * rest_count) / num_classes
    scores = np.where(known, scores - mean[:, None], -np.inf)
    rest = np.where(rest_count > 0, rest - mean, -np.inf)
    return Candidates(listed, scores, rest, rest_count, mean, is_trained)


def log_probs(probs: Floats, num_classes: int) -> Floats:
    """Logarithms with a floor: below it a network's differences mean nothing."""
    return np.log(probs + 1e-5 / num_classes)


def training_gain(
    candidates: Candidates,
    num_classes: int,
    others: tuple[Ints, Floats] | None = None,
    planted: NDArray[np.bool_] | None = None,
) -> float:
    """Memorisation gain: how much a wrong label's log-probability rises by being trained on.

    Estimated within each pair (top class, label): on the rows whose label was planted, or else on
    those whose top class is another one than the label.

    planted   (m,)  rows whose label was made wrong; None: nobody knows which are wrong

    others    classes (m, s), -1: none, and scores of labels that are not given, drawn at random;
              without them the candidates, which must then be all classes
    """
    rows = np.arange(len(candidates.classes))
    given = candidates.classes[:, 0]
    best = candidates.scores.argmax(axis=1)
    if planted is not None:
        best = np.where(planted, 1 + candidates.scores[:, 1:].argmax(axis=1), best)
    lead = candidates.classes[rows, best]
    classes, scores = (
        others if others is not None else (candidates.classes[:, 1:], candidates.scores[:, 1:])
    )
    beaten = (classes >= 0) & (classes != given[:, None]) & (classes != lead[:, None])
    row, column = np.nonzero(beaten)
    pairs = lead[row] * num_classes + classes[row, column]
    elsewhere = scores[row, column]
    count = np.bincount(pairs, minlength=num_classes**2)
    base = np.bincount(pairs, weights=elsewhere, minlength=num_classes**2) / np.maximum(count, 1)

    given_pairs = lead * num_classes + given
    is_wrong = (lead != given) if planted is None else planted
    wrong = np.flatnonzero(is_wrong & (count[given_pairs] > 0) & candidates.is_trained)
    if not len(wrong):
        return 0.0
    there = candidates.scores[wrong, 0] - base[given_pairs[wrong]]
    return max(0.0, float(there.mean()))  # the others' mean distance from their base is 0


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
    classes = candidates.classes
    given = classes[:, :1]
    prior, rest = by_image or _prior(model, candidates)
    flips = np.where(classes >= 0, model.transition[classes, given], 0.0)
    rest_flips = np.maximum(model.transition.sum(axis=0)[given[:, 0]] - flips.sum(axis=1), 0.0)
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


def concentration(transition: Floats) -> float:
    """0: the wrong labels of a class are any others; 1: always the same one."""
    num_classes = len(transition)
    if num_classes == 2:
        return 0.0
    wrong = transition * (1 - np.eye(num_classes))
    total = np.maximum(wrong.sum(axis=1), 1e-300)
    even = 1 / (num_classes - 1)
    measured = (np.square(wrong / total[:, None]).sum(axis=1) - even) / (1 - even)
    return float(np.clip((measured * total).sum() / total.sum(), 0.0, 1.0))


def count_transitions(
    candidates: Candidates, shares: Floats, rest: Floats, transition: Floats
) -> Floats:
    """Expected rows (c, c) of each true class with each given label.

    shares (m, q), rest (m,)  probabilities of the candidates and of all other classes, which the
                              matrix as known so far divides among them
    """
    num_classes = len(transition)
    given = candidates.classes[:, 0]
    pairs = np.maximum(candidates.classes, 0) * num_classes + given[:, None]
    counts = np.bincount(pairs.ravel(), weights=shares.ravel(), minlength=num_classes**2)
    left = np.bincount(given, weights=rest, minlength=num_classes)
    wrong = transition * (1 - np.eye(num_classes))
    spread: Floats = wrong * (left / np.maximum(wrong.sum(axis=0), 1e-300))
    return spread + counts.reshape(transition.shape)


def shrunk_rows(counts: Floats, config: NoiseModelConfig = TUNED) -> Floats:
    """Rows that sum to one, pulled to the pooled share of right labels and to even errors.

    In each row and column the right label is the most frequent one: otherwise two classes whose
    labels are often mixed up could change places.
    """
    num_classes = len(counts)
    wrong = 1 - np.trace(counts) / counts.sum()
    pooled = np.full_like(counts, wrong / (num_classes - 1))
    np.fill_diagonal(pooled, 1 - wrong)
    pull = config.pull * num_classes  # as many cells, as much to fit by chance
    rows: Floats = (counts + pull * pooled) / (counts.sum(axis=1, keepdims=True) + pull)
    for _ in range(3):
        right = np.diag(rows)
        most = config.dominance * np.minimum(right[:, None], right[None, :])
        np.fill_diagonal(most, 1.0)
        rows = np.minimum(rows, most)
        np.fill_diagonal(rows, right + 1 - rows.sum(axis=1))
    return rows


def _maximise(
    model: NoiseModel, candidates: Candidates, steps: int
) -> tuple[NoiseModel, Posterior]:
    """Expectation-maximisation of the matrix; also what the model before the last step says."""
    by_image = _prior(model, candidates)
    beliefs = posterior(model, candidates, by_image)
    before = np.inf
    for _ in range(steps):
        counts = count_transitions(candidates, beliefs.candidates, beliefs.rest, model.transition)
        model = replace(model, transition=shrunk_rows(counts, model.config))
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
    transition = np.full((num_classes, num_classes), 0.15 / (num_classes - 1))
    np.fill_diagonal(transition, 0.85)
    begin = NoiseModel(gain=gain, sharpness=1.0, transition=transition, config=config)
    models, logs, rates = [], [], []
    # each from the beginning: the matrix of a sharpness that is far off leads astray
    for sharpness in SHARPNESS.tolist():
        model, posteriors = _maximise(replace(begin, sharpness=sharpness), candidates, STEPS)
        rate = float(1 - posteriors.candidates[:, 0].mean())
        models.append(model)
        rates.append(rate)
        logs.append(posteriors.likelihood.sum() + _log_prior(model, posteriors, rate))
    weights = np.exp(np.array(logs) - max(logs))
    kept = np.flatnonzero(weights >= LEAST_WEIGHT)
    kept = kept[np.argsort(-weights[kept], kind="stable")]
    return Fit(
        tuple(models[k] for k in kept),
        weights[kept] / weights[kept].sum(),
        np.array(rates)[kept],
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
    """
    generator = np.random.Generator(np.random.PCG64(seed))
    rates = fitted.rates[generator.choice(len(fitted.rates), 2_000, p=fitted.weights)]
    deviation = np.sqrt(rates * (1 - rates) / count)
    drawn = rates + deviation * generator.standard_normal(2_000)
    low, high = np.quantile(drawn, [0.025, 0.975]).tolist()
    config = fitted.best.config
    more = config.model_error + config.model_error_of_few / np.sqrt(count)
    return max(0.0, low - more), min(1.0, high + more)
