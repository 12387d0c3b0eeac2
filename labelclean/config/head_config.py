"""How heads learn on the features of a pretrained network."""

from __future__ import annotations

from dataclasses import dataclass

from labelclean.config.train_config import TrainConfig

LEAST_SECOND = 0.1  # share of the second round of heads from which on it counts


@dataclass(frozen=True, kw_only=True)
class HeadConfig:
    """How heads learn on frozen features. Chosen on photos, flowers, CIFAR-10, Fashion-MNIST and
    digits of 60 to 10,000 images (examples/benchmark, filter_quality.py); none was held out.

    epochs        passes over the data, but at least `least_steps` steps: few images need more, and
                  many fewer, at most `most_steps` if these are `least_epochs` or more
    folds         an image is left out of one head in so many, which then says what its label is
    repeats       times that the folds are drawn anew
    dropout       share of the features that a step leaves out
    gain          factor of the logits, over the root of the number of features; chosen with those
                  of EfficientNet-Lite0 on grocery photos, flowers and CIFAR-10
    few           images a class: for so few the cosine to the classes' mean directions counts half
                  as much as the heads, and the second round of heads, which learn from what the
                  noise model makes of the first, as much as the first in the probabilities
    """

    epochs: int = 20
    least_steps: int = 150
    most_steps: int = 8_000
    least_epochs: int = 4
    folds: int = 5
    repeats: int = 2
    batch_size: int = 128
    lr: float = 0.02
    weight_decay: float = 1e-3
    dropout: float = 0.5
    gain: float = 12.0
    start: float = 0.2
    ramp: float = 0.3
    few: float = 20.0

    def prototype_share(self, images_a_class: float) -> float:
        """How much the prototypes count: one half for few images, nearly nothing for many."""
        return self.few / (images_a_class + 2 * self.few)

    def second_share(self, images_a_class: float) -> float:
        """How much the second round counts in the probabilities: all for very few images.

        With few images it halves the calibration error of even noise; with many, for which it
        counts nothing, it takes confusions that people share for the truth and believes in too
        few wrong labels (examples/benchmark, few_photos.py). It ranks the rows of all of them.
        """
        share = self.few / (images_a_class + self.few)
        return share if share >= LEAST_SECOND else 0.0

    def _epochs(self, steps: int) -> int:
        """How many of so many steps."""
        most = max(self.least_epochs, self.most_steps // steps)
        return min(max(self.epochs, -(-self.least_steps // steps)), most)

    def train_config(self, images: int, seed: int) -> TrainConfig:
        """The settings of the one loop for so many training images."""
        steps = -(-images // self.batch_size)
        return TrainConfig(
            arch="heads",
            epochs=self._epochs(steps),
            batch_size=self.batch_size,
            lr=self.lr,
            weight_decay=self.weight_decay,
            start=self.start,
            ramp=self.ramp,
            score_epochs=1,
            seed=seed,
        )
