"""`bodymaps train diffusion`: from a case list to the weights of the diffusion engine."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from vision.errors import UsageError
from vision.extras import require_packages
from vision.synthesis.tumours.engines import ENGINES, REAL_SHAPE, make_engine


@dataclass(frozen=True)
class DiffusionOptions:
    """What was asked for: a case list (see vision/training/cases.py), a budget, and who paints."""

    cases: Path
    out: Path
    minutes: float
    steps: int | None = None
    """Of each stage; as many as fit into the time without it."""
    shapes: Path | None = None
    """Folder of real tumour shapes, which are then painted, too."""
    seed: int = 0


def train_diffusion(options: DiffusionOptions) -> Path:
    """Prepare the cases and train, or resume what `out` holds; returns the weights.

    Cases that annotate no organ teach the autoencoder alone; those held out measure the finished network, all where
    none is. Raises UsageError E_BUDGET, E_EXTRA, E_CASE_LIST, and what the shapes' folder raises.
    """
    if options.minutes <= 0 or (options.steps is not None and options.steps <= 0):
        raise UsageError("E_BUDGET", "Nothing can be trained in no time or no steps.", "Give more.")
    require_packages("Training the diffusion engine", "monai", "einops")
    from vision.training.cases import prepare_list, read_case_list
    from vision.training.diffusion.crops import STRUCTURES, CropSupply
    from vision.training.diffusion.recipe import DiffusionRecipe, train_networks

    recipe = DiffusionRecipe(minutes=options.minutes, seed=options.seed)
    if options.steps is not None:
        recipe = replace(
            recipe,
            autoencoder=replace(recipe.autoencoder, steps=options.steps),
            denoiser=replace(recipe.denoiser, steps=options.steps),
        )
    engines = [make_engine(name) for name in ENGINES]
    if options.shapes is not None:
        engines.append(make_engine(REAL_SHAPE, shapes=options.shapes))
    entries, spacing = read_case_list(options.cases), recipe.network.spacing_mm
    cases = prepare_list(entries, options.out / "cases", structures=STRUCTURES, spacing_mm=spacing)
    trained = [case for case, entry in zip(cases, entries, strict=True) if not entry.held_out]
    held_out = [case for case, entry in zip(cases, entries, strict=True) if entry.held_out]
    supply = CropSupply(trained, engines, spacing_mm=spacing, seed=recipe.seed)
    unseen = CropSupply(held_out, engines, spacing_mm=spacing, seed=recipe.seed) if held_out else supply
    return train_networks(supply, unseen, recipe, options.out)
