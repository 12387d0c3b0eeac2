"""Options: what is refused, all at once, and what the presets say."""

from __future__ import annotations

import math

import pytest

from labelclean.config import (
    FilterConfig,
    HeadConfig,
    RuntimeConfig,
    TrainConfig,
    VerdictConfig,
    filter_epochs,
    preset,
    train_epochs,
)
from labelclean.errors import ConfigError


def test_all_problems_are_told_at_once_with_their_flags():
    with pytest.raises(ConfigError) as error:
        TrainConfig(epochs=0, batch_size=1, lr=math.nan, complementary="some", lr_drops=(2.0,))
    assert str(error.value) == (
        "--epochs is 0, must be at least 1; --batch-size is 1, must be at least 2; "
        "--lr is nan, must be in (0, 100]; "
        "--complementary is some, must be all, paper or a number; "
        "--lr-drops is 2, must be in [0, 1]"
    )


def test_verdict_rules_exclude_each_other():
    with pytest.raises(ConfigError, match="--budget and --gamma exclude each other"):
        VerdictConfig(budget=3, gamma=0.5)


@pytest.mark.parametrize("value", [math.nan, math.inf, -1.0])
def test_minutes_and_shares_must_be_finite_and_positive(value: float):
    with pytest.raises(ConfigError, match="--minutes"):
        RuntimeConfig(minutes=value)
    with pytest.raises(ConfigError, match="--self-test"):
        FilterConfig(self_test=value)


def test_the_paper_preset_is_section_6_1():
    paper = preset("paper")
    assert (paper.arch, paper.epochs, paper.batch_size) == ("resnet34", 1000, 128)
    assert (paper.lr, paper.lr_drops, paper.momentum, paper.weight_decay) == (
        0.01,
        (0.8,),
        0.9,
        1e-4,
    )
    assert (paper.pl_weight, paper.complementary) == (0.01, "paper")
    assert (paper.start, paper.ramp, paper.pl_start, paper.nl_scale) == (0, 0, 0, 1)


def test_the_clothing1m_preset_is_section_6_1():
    clothing = preset("clothing1m")
    assert (clothing.arch, clothing.weights) == ("resnet50", "imagenet")
    assert (clothing.epochs, clothing.batch_size, clothing.lr) == (40, 64, 0.001)
    assert clothing.lr_drops == (30 / 40,)


def test_given_numbers_replace_those_of_a_preset():
    assert preset("paper", lr=0.5, epochs=None) == preset("paper", lr=0.5)
    assert preset("paper", lr=0.5).epochs == 1000


def test_few_noisy_labels_get_few_epochs_and_large_data_at_least_six():
    sizes = (50, 1_000, 2_000, 4_000, 8_000, 10_000, 20_000, 10_000_000)
    assert [filter_epochs(n) for n in sizes] == [10, 10, 13, 20, 20, 16, 8, 6]


def test_few_believed_labels_get_epochs_enough_for_some_hundred_steps():
    sizes = (50, 1_000, 4_000, 10_000, 10_000_000)
    assert [train_epochs(n, batch_size=128) for n in sizes] == [60, 38, 20, 16, 6]


@pytest.mark.parametrize(
    ("images", "epochs"),
    [(60, 150), (1_000, 20), (50_000, 20), (100_000, 10), (500_000, 4), (10_000_000, 4)],
)
def test_heads_take_enough_steps_and_not_many_more(images: int, epochs: int):
    assert HeadConfig().train_config(images, seed=0).epochs == epochs
