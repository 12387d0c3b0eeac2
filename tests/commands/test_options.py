"""Options that become the fields of a config by their names."""

from __future__ import annotations

import inspect
from dataclasses import fields

import pytest

from labelclean.commands.filtering import filter_command
from labelclean.commands.injecting import inject_noise_command
from labelclean.commands.options import fields_in
from labelclean.config import RuntimeConfig, TrainConfig, VerdictConfig
from labelclean.data.sources import SourceOptions


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
    names -= {"is_to_train"}  # that follows from the command
    assert names <= set(inspect.signature(command).parameters)
