"""What may be wished of a phantom's person: a fatty liver, oral contrast, noise, other sizes, missing organs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from vision.phantom.organs import Build
from vision.phantom.tissues import typical_tissues

REMOVABLE = ("gall_bladder", "kidney_left", "kidney_right", "spleen")


@dataclass(frozen=True)
class Condition:
    """What replaces the seed's own draw; None and empty leave it.

    `steatosis_hu`: by how much the liver is darker than the middle of its range, 0 for a healthy one.
    `oral_contrast_hu`: mean HU of what is in stomach and small bowel. `noise_hu`: SD of the noise. `sizes`: linear
    factor by organ. `missing`: organs of REMOVABLE that are not there.
    Raises ValueError for others and for a factor outside 0.3 to 2.
    """

    steatosis_hu: float | None = None
    oral_contrast_hu: float | None = None
    noise_hu: float | None = None
    sizes: Mapping[str, float] = field(default_factory=dict)
    missing: frozenset[str] = frozenset()

    def __post_init__(self) -> None:
        if not self.missing <= set(REMOVABLE):
            raise ValueError(f"only {', '.join(REMOVABLE)} can be missing, got {sorted(self.missing)}")
        if not all(0.3 <= factor <= 2 for factor in self.sizes.values()):
            raise ValueError(f"sizes are factors of 0.3 to 2, got {dict(self.sizes)}")

    def of_tissues(self, tissues: Mapping[str, float], phase: str) -> dict[str, float]:
        """Mean HU of each tissue under this condition."""
        changed = dict(tissues)
        if self.steatosis_hu is not None:
            changed["liver"] = typical_tissues(phase)["liver"] - self.steatosis_hu
        if self.oral_contrast_hu is not None:
            changed["gastric_content"] = changed["chyme"] = self.oral_contrast_hu
        return changed

    def of_build(self, build: Build) -> Build:
        """A person under this condition."""
        return replace(build, size={**build.size, **self.sizes}, missing=self.missing)

    def of_noise(self, noise_hu: float) -> float:
        """SD of the noise in HU under this condition."""
        return noise_hu if self.noise_hu is None else self.noise_hu


AS_DRAWN = Condition()
