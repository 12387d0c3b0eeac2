"""Label noise for experiments: pure functions, labels in, noisy labels out.

All randomness is `generator.random`, the one draw that is the same on every platform and numpy; the
rows that turn wrong at a low rate are among those of any higher rate (same seed).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from labelclean.data.samples import NO_LABEL
from labelclean.errors import ConfigError

Labels = NDArray[np.int64]
Matrix = NDArray[np.float64]

CIFAR10_CLASSES = tuple("airplane automobile bird cat deer dog frog horse ship truck".split())

# Fine classes in alphabetical order, which is the order of their numbers in the data set.
CIFAR100_SUPERCLASSES: dict[str, tuple[str, ...]] = {
    "aquatic_mammals": ("beaver", "dolphin", "otter", "seal", "whale"),
    "fish": ("aquarium_fish", "flatfish", "ray", "shark", "trout"),
    "flowers": ("orchid", "poppy", "rose", "sunflower", "tulip"),
    "food_containers": ("bottle", "bowl", "can", "cup", "plate"),
    "fruit_and_vegetables": ("apple", "mushroom", "orange", "pear", "sweet_pepper"),
    "household_electrical_devices": ("clock", "keyboard", "lamp", "telephone", "television"),
    "household_furniture": ("bed", "chair", "couch", "table", "wardrobe"),
    "insects": ("bee", "beetle", "butterfly", "caterpillar", "cockroach"),
    "large_carnivores": ("bear", "leopard", "lion", "tiger", "wolf"),
    "large_man-made_outdoor_things": ("bridge", "castle", "house", "road", "skyscraper"),
    "large_natural_outdoor_scenes": ("cloud", "forest", "mountain", "plain", "sea"),
    "large_omnivores_and_herbivores": ("camel", "cattle", "chimpanzee", "elephant", "kangaroo"),
    "medium_mammals": ("fox", "porcupine", "possum", "raccoon", "skunk"),
    "non-insect_invertebrates": ("crab", "lobster", "snail", "spider", "worm"),
    "people": ("baby", "boy", "girl", "man", "woman"),
    "reptiles": ("crocodile", "dinosaur", "lizard", "snake", "turtle"),
    "small_mammals": ("hamster", "mouse", "rabbit", "shrew", "squirrel"),
    "trees": ("maple_tree", "oak_tree", "palm_tree", "pine_tree", "willow_tree"),
    "vehicles_1": ("bicycle", "bus", "motorcycle", "pickup_truck", "train"),
    "vehicles_2": ("lawn_mower", "rocket", "streetcar", "tank", "tractor"),
}
CIFAR100_CLASSES = tuple(sorted(name for group in CIFAR100_SUPERCLASSES.values() for name in group))


def symmetric(
    labels: Labels,
    num_classes: int,
    rate: float,
    generator: np.random.Generator,
    exact: bool = True,
) -> Labels:
    """Labels of which a share is redrawn uniformly from the other classes, paper Sec. 6.1.

    labels   (n,) in [0, num_classes), or NO_LABEL, which stays
    exact    True: in each class the count nearest to rate * size turns wrong (half: the lower),
             as the authors' code does for whole counts; False: each label by its own coin
    returns  (n,) a copy

    Raises ValueError if a label or the rate is out of range.
    """
    _check_labels(labels, num_classes)
    if not 0 <= rate <= 1:
        raise ValueError(f"rate is {rate}, not in [0, 1]")
    order, target = generator.random(len(labels)), generator.random(len(labels))
    if num_classes < 2:
        return labels.copy()
    if exact:
        flipped = np.zeros(len(labels), dtype=bool)
        for label in range(num_classes):
            rows = np.flatnonzero(labels == label)
            count = _apportion(len(rows), np.array([rate, 1 - rate]), keep=1)[0]
            flipped[_by_rank(rows, order)[:count]] = True
    else:
        flipped = (order < rate) & (labels != NO_LABEL)
    other = (target * (num_classes - 1)).astype(np.int64)
    other += other >= labels
    return np.where(flipped, other, labels)


def by_matrix(
    labels: Labels,
    transition: Matrix,
    generator: np.random.Generator,
    exact: bool = True,
) -> Labels:
    """Labels drawn anew by a transition matrix.

    labels      (n,) in [0, c), or NO_LABEL, which stays
    transition  (c, c) row: true class, column: given class; rows sum to 1
    exact       True: each class is divided by largest remainder (a tie keeps the label, then
                prefers the lower class); False: each label is drawn by itself
    returns     (n,) a copy

    Raises ValueError if a label is out of range or the matrix is none of probabilities.
    """
    num_classes = len(transition)
    _check_labels(labels, num_classes)
    if transition.shape != (num_classes, num_classes):
        raise ValueError(f"transition is {transition.shape}, not square")
    if not (transition >= 0).all() or not np.allclose(transition.sum(axis=1), 1, atol=1e-6):
        raise ValueError(f"transition rows must be >= 0 and sum to 1: {transition.tolist()}")
    draw = generator.random(len(labels))
    noisy = labels.copy()
    for label in range(num_classes):
        rows = np.flatnonzero(labels == label)
        if exact:
            counts = _apportion(len(rows), transition[label], keep=label)
            counts[label] = 0
            wrong = np.repeat(np.arange(num_classes), counts)
            noisy[_by_rank(rows, draw)[: len(wrong)]] = wrong
        else:
            upper = np.cumsum(transition[label])
            noisy[rows] = np.searchsorted(upper / upper[-1], draw[rows], side="right")
    return noisy


def mapping_matrix(pairs: Sequence[tuple[str, str, float]], class_names: Sequence[str]) -> Matrix:
    """Transition matrix in which a share of some classes goes to another: (from, to, rate).

    pairs    by class name; a class may go to several others
    returns  (c, c) row: true class, column: given class

    Raises ConfigError if a class is unknown, mapped to itself or twice, or gives more than all.
    """
    position = {name: k for k, name in enumerate(class_names)}
    matrix = np.eye(len(class_names))
    seen: set[tuple[str, str]] = set()
    problems = []
    for source, target, rate in pairs:
        unknown = [name for name in (source, target) if name not in position]
        if unknown:
            known = ", ".join(map(repr, class_names[:10])) + (", ..." if len(position) > 10 else "")
            problems.append(f"there is no class {unknown[0]!r}, but {known}")
        elif source == target:
            problems.append(f"{source!r} is mapped to itself")
        elif (source, target) in seen:
            problems.append(f"{source!r} is mapped to {target!r} twice")
        elif not 0 <= rate <= 1:
            problems.append(f"rate of {source!r} to {target!r} is {rate}, must be 0 to 1")
        else:
            matrix[position[source], position[target]] = rate
            matrix[position[source], position[source]] -= rate
        seen.add((source, target))
    for name, kept in zip(class_names, matrix.diagonal().tolist(), strict=True):
        if kept < -1e-9:
            problems.append(f"{name!r} gives away {100 * (1 - kept):.6g} %, more than all")
    if problems:
        raise ConfigError("--mapping: " + "; ".join(problems))
    return matrix.clip(0, 1)


def cifar10_asymmetric(rate: float) -> Matrix:
    """TRUCK → AUTOMOBILE, BIRD → AIRPLANE, DEER → HORSE, CAT ↔ DOG; paper Sec. 6.1: (10, 10).

    `rate` is that of each mapped class, so half of it is the noise rate over all ten.
    """
    pairs = ("truck automobile", "bird airplane", "deer horse", "cat dog", "dog cat")
    return mapping_matrix(
        [(source, target, rate) for source, target in map(str.split, pairs)], CIFAR10_CLASSES
    )


def cifar100_asymmetric(rate: float) -> Matrix:
    """Each class into the next of its superclass, circularly; paper Sec. 6.1: (100, 100)."""
    pairs = [
        (name, group[(k + 1) % len(group)], rate)
        for group in CIFAR100_SUPERCLASSES.values()
        for k, name in enumerate(group)
    ]
    return mapping_matrix(pairs, CIFAR100_CLASSES)


def _check_labels(labels: Labels, num_classes: int) -> None:
    if labels.ndim != 1 or labels.dtype != np.int64:
        raise ValueError(f"labels are {labels.dtype} {labels.shape}, not int64 (n,)")
    if len(labels) and not (NO_LABEL <= labels.min() and labels.max() < num_classes):
        raise ValueError(
            f"labels span {labels.min()} to {labels.max()}, not [{NO_LABEL}, {num_classes})"
        )


def _by_rank(rows: NDArray[np.int64], draw: Matrix) -> NDArray[np.int64]:
    """The rows in random order: that of their draws."""
    order: NDArray[np.int64] = rows[np.argsort(draw[rows], kind="stable")]
    return order


def _apportion(total: int, shares: Matrix, keep: int) -> NDArray[np.int64]:
    """Whole counts that sum to `total`, by largest remainder; a tie goes to `keep`, then lower."""
    quota = total * shares / shares.sum()
    counts: NDArray[np.int64] = np.floor(quota).astype(np.int64)
    remainder = np.round(quota - counts, 9)  # 50 * 0.07 is 3.5000000000000004
    tie = np.arange(len(shares))
    tie[keep] = -1
    counts[np.lexsort((tie, -remainder))[: total - counts.sum()]] += 1
    return counts
