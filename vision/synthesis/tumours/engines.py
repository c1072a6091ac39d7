"""ENGINES: one row an engine; its module is imported when it is asked for."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType

from vision.errors import UsageError
from vision.extras import require_packages
from vision.synthesis.tumours.protocol import Engine


def _handcrafted() -> Engine:
    from vision.synthesis.tumours.handcrafted import Handcrafted

    return Handcrafted()


def _cellular_automaton() -> Engine:
    from vision.synthesis.tumours.cellular import CellularAutomaton

    return CellularAutomaton()


ENGINES: Mapping[str, Callable[[], Engine]] = MappingProxyType(
    {"handcrafted": _handcrafted, "cellular-automaton": _cellular_automaton}
)
"""Those that need nothing but their name."""
REAL_SHAPE, DIFFUSION = "real-shape", "diffusion"


def make_engine(name: str, *, shapes: Path | None = None, weights: Path | None = None) -> Engine:
    """The engine of a name; "real-shape" takes its shapes from the folder `shapes`.

    "diffusion" takes its network from the folder `weights`, or what comes with the package.

    Raises UsageError E_ENGINE for a name that is neither in ENGINES nor one of these two, E_SHAPES for a folder of no
    shapes, E_EXTRA where MONAI is not installed, and WeightsError as `open_diffusion`.
    """
    if name == DIFFUSION:
        require_packages("The diffusion engine", "monai", "einops")
        from vision.synthesis.tumours.diffusion.storage import open_diffusion

        return open_diffusion(weights)
    if name == REAL_SHAPE:
        from vision.synthesis.tumours.real_shapes import open_shapes

        if shapes is None:
            raise UsageError("E_SHAPES", "This engine needs a folder of tumour shapes.", "Give the folder.")
        return open_shapes(shapes)
    if name not in ENGINES:
        known = ", ".join(sorted([*ENGINES, REAL_SHAPE, DIFFUSION]))
        raise UsageError("E_ENGINE", "There is no tumour engine of that name.", f"Engines: {known}.")
    return ENGINES[name]()
