"""look: what all views of the images say of every label, joined into one."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.metrics import roc_auc_score

from labelclean.config import PRESETS, FilterConfig, finetune_config
from labelclean.config.names import FEATURES, FINETUNED, SCRATCH
from labelclean.data import noise
from labelclean.data.images import SMALL, choose_spec, largest_side
from labelclean.data.samples import SampleTable
from labelclean.judging import fusion, verdicts
from labelclean.learning import distributed, methods, models, runtime
from labelclean.learning.feature_view import FeatureView, HeadTask, find_head_method
from labelclean.predictions import Predictions
from labelclean.progress import Reporter, image_counter
from labelclean.workflows.learner import Start
from labelclean.workflows.learning import (
    EMBEDDINGS,
    WEIGHTS,
    Learned,
    learn,
    open_embeddings,
)
from labelclean.workflows.preparing import Samples, decode
from labelclean.workflows.resuming import in_run_dir
from labelclean.workflows.seeing import Seen, see
from labelclean.workflows.two_rounds import fit_view

NETWORKS = {SCRATCH: "network from scratch", FINETUNED: "fine-tuned network"}
AT_ONCE = 1_000  # rows, of which each has a number for each class
PLANTED = 0.05  # share of the labels that is flipped in memory to weigh the views


def choose_views(config: FilterConfig) -> tuple[str, ...] | None:
    """The views that the options ask for; None: they depend on the size of the images.

    Features alone where they come from a file; a network from scratch alone where the options are
    those of the paper, or of a method that needs a network of its own.

    Raises ConfigError for views that a method cannot learn by.
    """
    view, train = config.view, config.train
    if view.features is not None:
        find_head_method(train.method)
        return (FEATURES,)
    if view.views is not None:
        if FEATURES in view.views:
            find_head_method(train.method)
        return view.views
    is_of_paper = train.schedule == "steps" or train.weights != "none"
    if is_of_paper or train.method != "jnpl":
        methods.find(train.method)
        return (SCRATCH,)
    return None


def views_of(config: FilterConfig, table: SampleTable) -> tuple[str, ...]:
    """The views of these images: small images are learned from scratch too.

    For larger ones the pretrained network learns on, given a GPU or --minutes; one from scratch is
    trained only if the options give it epochs or a form.
    """
    asked = choose_views(config)
    if asked is not None:
        return asked
    train = config.train
    free = {name: getattr(train, name) for name in ("seed", "flip", "method", "class_weights")}
    has_form = train not in [replace(PRESETS[name], **free) for name in ("quick", "standard")]
    if largest_side(table) <= SMALL or has_form:
        return (FEATURES, SCRATCH)
    is_on_gpu = runtime.choose_device(config.runtime.device).type == "cuda"
    if is_on_gpu or config.runtime.minutes is not None:
        return (FEATURES, FINETUNED)
    return (FEATURES,)


def look(
    samples: Samples,
    labels: NDArray[np.int64],
    config: FilterConfig,
    device: torch.device,
    reporter: Reporter,
) -> Learned:
    """Learns from the labels (n,), by each view, and joins what the views say.

    labels  the given ones, perhaps with those of the self-test among them

    Of several processes the first one learns heads: the others end where these are all, or learn
    the network with it, and return what that says.

    Raises ConfigError, SourceError or RunError for what the user can mend.
    """
    views = views_of(config, samples.table)
    if FEATURES not in views:
        return learn(
            _for_scratch(samples, config, device, reporter), labels, config, device, reporter
        )
    seen = see(samples, config.view, config.runtime, device, reporter)
    if views == (FEATURES,):
        distributed.dismiss()
        view = _fit(samples, seen, labels, config, device, reporter)
        return _of_features(samples, view, labels, seen, config, device, reporter)

    def network(weighed: NDArray[np.int64]) -> Learned:
        if FINETUNED in views and seen.backbone is not None:
            backbone = seen.backbone.of_last_layer()
            last = replace(seen, features=seen.of_last_layer)
            head = distributed.agreed(
                lambda: _fit(samples, last, weighed, config, device, reporter).head()
            )
            start = Start(backbone=backbone, size=seen.size, head=head)
            of_its_own = replace(config, train=finetune_config(config.train))
            return learn(samples, weighed, of_its_own, device, reporter, start=start)
        at_size = _for_scratch(samples, config, device, reporter)
        return learn(at_size, weighed, config, device, reporter)

    if not distributed.is_first():
        return network(distributed.agreed(lambda: labels))  # as the first one has flipped them
    view = _fit(samples, seen, labels, config, device, reporter)
    (name,) = (each for each in views if each != FEATURES)
    return _of_both(samples, view, labels, seen.of_last_layer, config, network, name)


def _fit(
    samples: Samples,
    seen: Seen,
    labels: NDArray[np.int64],
    config: FilterConfig,
    device: torch.device,
    reporter: Reporter,
) -> FeatureView:
    task = HeadTask(
        features=seen.features,
        labels=labels,
        train_rows=samples.train_rows,
        num_classes=samples.table.num_classes,
        config=config.view.head,
        seed=config.train.seed,
        device=device,
    )
    with distributed.apart():
        return fit_view(task, samples.first, config.train.method, reporter)


def _of_features(
    samples: Samples,
    view: FeatureView,
    labels: NDArray[np.int64],
    seen: Seen,
    config: FilterConfig,
    device: torch.device,
    reporter: Reporter,
) -> Learned:
    seed = config.train.seed
    with reporter.stage("predicting") as advance:
        on_rows = image_counter(advance, len(samples.rows))
        predictions = view.predict(samples.rows, labels, seed, on_rows)
        as_given = predictions
        if not np.array_equal(labels, samples.table.labels):  # the self-test flipped some
            as_given = view.predict(samples.rows, samples.table.labels, seed)
        first = view.first
        of_first = predictions if first is view else first.predict(samples.rows, labels, seed)
        path = in_run_dir(config.runtime, EMBEDDINGS)
        with open_embeddings(len(labels), path) as embeddings:
            view.embeddings(samples.rows, embeddings)
    return Learned(
        predictions=predictions,
        as_given=as_given,
        embeddings=embeddings,
        history=view.history,
        config=config,
        device=runtime.device_name(device),
        dtype="float32",
        by_view={FEATURES: as_given.p_given},
        weights=_save(view, seen, samples, config),
        shares={FEATURES: 1.0},
        features=seen.of_last_layer,
        doubts=_doubts({FEATURES: _free_auroc(first, of_first, samples, labels, seed)}),
    )


def _of_both(
    samples: Samples,
    view: FeatureView,
    labels: NDArray[np.int64],
    features: NDArray[np.float16],
    config: FilterConfig,
    network: Callable[[NDArray[np.int64]], Learned],
    name: str,
) -> Learned:
    """A network learns with some more labels flipped, by which it and the heads are weighed.

    These flips stay in memory: the report is about the given labels, and of a flipped row the
    network's word on its given label counts, which it was not trained on.

    network  learns from labels (n,); name: of its view
    """
    num_classes, seed = samples.table.num_classes, config.train.seed
    rows, given = samples.train_rows, samples.table.labels
    by_features = view.predict(samples.rows, labels, seed)
    weighed = distributed.agreed(lambda: _plant(by_features, labels, samples, seed))
    flipped = np.flatnonzero(weighed != labels)
    learned = network(weighed)
    gain = verdicts.planted_gain(weighed, learned.predictions, flipped, num_classes, seed)
    shares = fusion.weigh(
        view.first.predict(samples.rows, weighed, seed),
        learned.predictions,
        rows=rows,
        planted_rows=flipped,
    )

    def of_network(changed: NDArray[np.int64]) -> Predictions:
        said = learned.predictions.replaced(changed, learned.as_given)
        return fusion.without_gain(said, gain)

    asked = (by_features, of_network(flipped))
    given_asked = asked
    if not np.array_equal(labels, given):  # the self-test flipped some
        changed = np.flatnonzero(weighed != given)
        given_asked = (view.predict(samples.rows, given, seed), of_network(changed))
    predictions = as_given = fusion.join(*asked, shares, num_classes)
    if given_asked is not asked:
        as_given = fusion.join(*given_asked, shares, num_classes)
    names = (FEATURES, name)
    with open_embeddings(len(labels), in_run_dir(config.runtime, EMBEDDINGS)) as embeddings:
        view.embeddings(samples.rows, embeddings)
    aurocs = dict(zip(names, shares.auroc, strict=True)) if shares.auroc else {}
    return replace(
        learned,
        predictions=predictions,
        as_given=as_given,
        embeddings=embeddings,
        shares=dict(zip(names, shares.shares, strict=True)),
        by_view={name: said.p_given for name, said in zip(names, given_asked, strict=True)},
        features=features,
        doubts=_doubts(aurocs),
    )


def _plant(
    by_features: Predictions, labels: NDArray[np.int64], samples: Samples, seed: int
) -> NDArray[np.int64]:
    """The labels with some flipped: half evenly, half along the confusions that heads see."""
    num_classes = samples.table.num_classes
    generator = np.random.Generator(np.random.PCG64((seed, 3)))
    rows = generator.permutation(samples.train_rows)
    count = max(round(PLANTED * len(rows)), min(fusion.FEWEST_PLANTED, len(rows) // 4)) // 2
    even, along = rows[:count], rows[count : 2 * count]
    flipped = labels.copy()
    flipped[even] = noise.symmetric(labels[even], num_classes, 1.0, generator)
    confusions = verdicts.transition(labels, by_features, num_classes, seed)
    drawn = generator.random(len(along))
    for part in np.array_split(np.arange(len(along)), max(1, len(along) // AT_ONCE)):
        given = labels[along[part]]
        chances = confusions.rows(given) + 1e-9
        chances[np.arange(len(part)), given] = 0.0
        chances /= chances.sum(axis=1, keepdims=True)
        steps = np.cumsum(chances, axis=1)
        flipped[along[part]] = (drawn[part, None] > steps).sum(axis=1).clip(max=num_classes - 1)
    return flipped


def _for_scratch(
    samples: Samples, config: FilterConfig, device: torch.device, reporter: Reporter
) -> Samples:
    """The samples at the size for a network from scratch, decoded anew if that is another."""
    if not samples.spec.is_squeezed:
        return samples
    spec = choose_spec(
        samples.table,
        image_size=config.runtime.image_size,
        device_is_cpu=device.type == "cpu",
    )
    spec = replace(spec, values=samples.spec.values)
    pixels = decode(samples.table, spec, config.runtime, reporter, stage="decoding once more")
    return replace(samples, pixels=pixels, spec=spec)


def _free_auroc(
    view: FeatureView,
    predictions: Predictions,
    samples: Samples,
    labels: NDArray[np.int64],
    seed: int,
) -> float:
    """How well the heads separate labels planted evenly from the given ones.

    Heads that did not learn from a row say the same of it whatever its label is: no training.
    """
    rows, num_classes = samples.train_rows, samples.table.num_classes
    generator = np.random.Generator(np.random.PCG64((seed, 4)))
    other = labels.copy()
    other[rows] = noise.symmetric(labels[rows], num_classes, 1.0, generator)
    planted = view.predict(rows, other, seed)
    scores = np.concatenate([fusion.evidence(predictions)[rows], fusion.evidence(planted)[rows]])
    is_planted = np.repeat([False, True], len(rows))
    finite = np.isfinite(scores)
    return float(roc_auc_score(is_planted[finite], -scores[finite]))


def _doubts(aurocs: dict[str, float]) -> tuple[str, ...]:
    """A line for each view that separates planted labels from given ones no better than chance."""
    return tuple(
        f"the {name} tell a planted wrong label from a given one hardly better than chance (AUROC "
        f"{auroc:.2f}): do not rely on this report; another --backbone may see more in such images"
        if name == FEATURES
        else f"the {NETWORKS[name]} tells a planted wrong label from a given one hardly better "
        f"than chance (AUROC {auroc:.2f}): it was left out; give it more --epochs or images"
        for name, auroc in aurocs.items()
        if auroc <= fusion.CHANCE
    )


def _save(view: FeatureView, seen: Seen, samples: Samples, config: FilterConfig) -> Path | None:
    """The mean of the heads, as weights of the run."""
    path = in_run_dir(config.runtime, WEIGHTS)
    if path is None:
        return None
    models.save(
        view.head(),
        path,
        {
            "backbone": seen.backbone.name if seen.backbone else "features",
            "class_names": json.dumps(samples.table.class_names),
            "image_size": str(samples.spec.size),
        },
    )
    return path
