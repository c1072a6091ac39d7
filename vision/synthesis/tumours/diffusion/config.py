"""The sizes of the latent diffusion network, read strictly from its description. No torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

from vision.models.kinds import spacing_mm, width, widths, window_hu

GROUPS = 8
"""Groups of the denoiser's GroupNorm, and channels of a head of its attention. Its widths are larger multiples: a norm
of every channel alone would take away what is added to it of step, organ and kind."""
MOST_STEPS = 1000


@dataclass(frozen=True)
class DiffusionConfig:
    """A vector-quantised autoencoder and a denoising U-Net over its latents.

    Each of `widths` halves the grid of `spacing_mm`, so latents are 2 ** len(widths) voxels apart; `codes` vectors of
    `code_width` numbers describe one. HU outside `window_hu` are not told apart (DiffTumor's window). `steps` are those
    of training and of sampling: DiffTumor takes 4 for small tumours and finds no more needed.
    """

    spacing_mm: float = 1.5
    window_hu: tuple[float, float] = (-175.0, 250.0)
    widths: tuple[int, ...] = (16, 32)
    codes: int = 512
    code_width: int = 8
    unet_widths: tuple[int, ...] = (24, 48)
    steps: int = 4

    @property
    def stride(self) -> int:
        """Voxels from one latent to the next."""
        return int(2 ** len(self.widths))

    @property
    def multiple(self) -> int:
        """A crop's edges in voxels are multiples of this."""
        return int(self.stride * 2 ** (len(self.unet_widths) - 1))

    def as_json(self) -> dict[str, Any]:
        """Plain values for a JSON file."""
        return asdict(self)


def read_config(values: object) -> DiffusionConfig:
    """The configuration in a description. Raises ValueError with what is wrong, as in 'codes is not an integer'."""
    names = [one.name for one in fields(DiffusionConfig)]
    if not isinstance(values, Mapping) or set(values) != set(names):
        raise ValueError(f"network does not have exactly {', '.join(names)}")
    checks = {
        "spacing_mm": spacing_mm,
        "window_hu": window_hu,
        "widths": widths,
        "codes": width,
        "code_width": width,
        "unet_widths": _grouped,
        "steps": _steps,
    }
    read: dict[str, Any] = {}
    for name in names:
        try:
            read[name] = checks[name](values[name])
        except ValueError as wrong:
            raise ValueError(f"network.{name} {wrong}") from None
    return DiffusionConfig(**read)


def _grouped(value: Any) -> tuple[int, ...]:
    read = widths(value)
    if any(one % GROUPS or one == GROUPS for one in read):
        raise ValueError(f"is not a list of multiples of {GROUPS} from {2 * GROUPS} on")
    return read


def _steps(value: Any) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= MOST_STEPS:
        raise ValueError(f"is not an integer from 1 to {MOST_STEPS}")
    return value
