"""Options that become the fields of a config by their names."""

from __future__ import annotations

import inspect
from dataclasses import fields

import pytest

from labelclean.commands.filter_command import filter_command
from labelclean.commands.inject_noise_command import inject_noise_command
from labelclean.commands.options import check_used, fields_in
from labelclean.config import RuntimeConfig, TrainConfig, VerdictConfig
from labelclean.config.source_options import SourceOptions
from labelclean.errors import ConfigError


def test_only_what_the_config_has_is_taken_under_its_own_name():
    given = {"threshold": 0.7, "budget": None, "report": "r.csv"}
    assert fields_in(VerdictConfig, given) == {"threshold": 0.7, "budget": None}


@pytest.mark.parametrize(
    ("command", "config"),
    [
        (filter_command, TrainConfig),
        (filter_command, VerdictConfig),
        (filter_command, RuntimeConfig),
        (filter_command, SourceOptions),
        (inject_noise_command, SourceOptions),
    ],
)
def test_a_command_has_an_option_for_every_field(command, config):
    names = {each.name for each in fields(config)}
    names -= {"is_to_train", "needs_images"}  # that follows from the command
    assert names <= set(inspect.signature(command).parameters)


@pytest.mark.parametrize(
    ("given", "schedule", "words"),
    [
        ({"minutes": 1.0, "epochs": 3}, "steps", "--minutes sets the number of epochs"),
        ({"lr_drops": "0.5"}, "one-cycle", "--lr-drops is of --schedule steps"),
        ({"warmup": 0.1}, "steps", "--warmup is of --schedule one-cycle"),
    ],
)
def test_an_option_that_others_leave_without_effect_is_refused(given, schedule: str, words: str):
    nothing = {"minutes": None, "epochs": None, "lr_drops": None, "warmup": None}
    with pytest.raises(ConfigError, match=words):
        check_used({**nothing, **given}, schedule)
    other = {"steps": "one-cycle", "one-cycle": "steps"}[schedule]
    check_used({**nothing, **given, "minutes": None}, other)
    check_used(nothing, schedule)
