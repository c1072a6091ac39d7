"""The recipe of an arm: that of the shipped weights with a smaller network, because an arm is trained many times."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vision.errors import UsageError
from vision.extras import require_packages

if TYPE_CHECKING:
    from vision.training.recipe import RecipeConfig


def small_recipe(*, minutes: float, steps: int) -> RecipeConfig:
    """The recipe of one training, over after `minutes` or `steps`, whichever comes first.

    Raises UsageError E_BUDGET for a budget that is not positive, E_EXTRA when a package of training is missing.
    """
    if minutes <= 0 or steps <= 0:
        raise UsageError("E_BUDGET", f"Nothing can be trained in {minutes:g} minutes and {steps} steps.", "Give more.")
    require_packages("Training", "accelerate")
    from vision.models.universal.network import UniversalConfig
    from vision.training.recipe import RecipeConfig

    network = UniversalConfig((), widths=(16, 32, 64, 128), fine_widths=(16, 24, 48), query_width=32, hidden=16)
    return RecipeConfig(network, steps=steps, minutes=minutes)
