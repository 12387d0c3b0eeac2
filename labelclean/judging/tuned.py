"""The tuned numbers of the noise model."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class NoiseModelConfig:
    """The tuned numbers of the noise model, and on what they were chosen.

    Chosen on what heads on frozen features say, out of fold, of grocery, flowers, CIFAR-10,
    Fashion-MNIST and digits with 0 to 60 % wrong labels, 60 to 4,000 images
    (trials on draws of them, nothing held out; examples/benchmark/few_photos.py prints what the
    numbers give); unseen_gain and own_errors on networks trained from scratch on CIFAR-10 and
    flowers. What is best on four of these sets has on the fifth a log-loss 2 % lower in the mean
    (examples/benchmark/choose_noise_model.py, one of 40 drawn settings); it is not taken, for on
    simulated networks of two classes, and of sixty images, it breaks the bounds that
    tests/judging/test_tuned_numbers.py sets.

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
    errors_shared   share of the images that the network errs on whose labels may be wrong besides:
                    added to the upper end of the rate's interval; chosen on CIFAR-10 with the
                    labels of a person
    unseen_gain     wrong labels that were memorised so well that they lead are missing from the
                    estimate of the training gain: it is multiplied by this
    least_flagged   no label is flagged by default whose issue probability is below; chosen on the
                    first three of these sets
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
    errors_shared: float = 0.4
    unseen_gain: float = 1.1
    least_flagged: float = 0.35
    own_errors: tuple[float, float] = (0.7, 1.05)


TUNED = NoiseModelConfig()
