"""labelclean demo."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from labelclean.commands.options import ForceOption, SeedOption


def demo_command(
    folder: Annotated[Path, typer.Argument(help="Folder to make.")],
    seed: SeedOption = 0,
    force: ForceOption = False,
) -> None:
    """Write a small real data set with known wrong labels (Fashion-MNIST)."""
    from labelclean.data import demo

    made = demo.write_demo(folder, seed=seed, force=force)
    typer.echo(made.describe())
