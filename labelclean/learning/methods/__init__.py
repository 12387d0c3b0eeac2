"""The methods by name: each is one training step, all under the same loop."""

from __future__ import annotations

from labelclean.errors import ConfigError
from labelclean.learning.methods import elr, forward, jnpl, nlnl, pairs, robust
from labelclean.learning.methods.base import Method, Outputs, StepContext, StepResult

__all__ = ["METHODS", "Method", "StepContext", "Outputs", "StepResult", "find"]

# A new method is one more entry, here or from outside (examples/new_method.py).
METHODS: dict[str, Method] = {
    "jnpl": Method(step=jnpl.jnpl, has_start=True),
    "ce": Method(step=jnpl.ce),
    "nl": Method(step=jnpl.nl),
    "nl-plus": Method(step=jnpl.nl_plus, has_start=True),
    "nlnl": Method(step=nlnl.nlnl, memory=nlnl.memory),
    "co-teaching": Method(step=pairs.co_teaching, networks=2, needs_noise_rate=True),
    "jocor": Method(step=pairs.jocor, networks=2, needs_noise_rate=True),
    "nfl-rce": Method(step=robust.nfl_rce),
    "nce-rce": Method(step=robust.nce_rce),
    "forward": Method(step=forward.forward, has_start=True, memory=forward.memory),
    "gce": Method(step=robust.gce),
    "elr": Method(step=elr.elr, memory=elr.memory),
}


def find(name: str) -> Method:
    """The method of that name. Raises ConfigError if there is none."""
    if name not in METHODS:
        raise ConfigError(f"--method is {name}, must be one of {', '.join(METHODS)}")
    return METHODS[name]
