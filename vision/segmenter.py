"""The seam between words and voxels: what any segmenter must offer."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from vision.geometry import CTVolume, Mask

if TYPE_CHECKING:
    from vision.models.coarse_to_fine.tokens import CTTokens

Progress = Callable[[str, float], None]
"""Called with what is being done and the share done in [0, 1]; raises `vision.errors.Cancelled` to stop the work."""


def no_progress(step: str, share: float) -> None:
    """A progress callback that does nothing."""


@dataclass(frozen=True)
class Encoding:
    """What a segmenter computed once for one CT and reuses for every question about it.

    `ct` is the CT it belongs to, `state` is the segmenter's own.
    """

    ct: CTVolume
    state: Any


class Segmenter(Protocol):
    """Voxels to masks. Encode once, ask many."""

    name: str
    """Shown in answers and reports, e.g. 'universal (3f2a91bc) on cpu, bfloat16'."""

    structures: frozenset[str]
    """Names of the structure table that it can segment itself; derived ones (pancreas parts) are not listed."""

    def encode(self, ct: CTVolume, progress: Progress = no_progress) -> Encoding:
        """Do the work that is paid once per CT."""
        ...

    def segment(self, encoding: Encoding, structure: str) -> Mask:
        """The mask of one of `structures` on the CT's own grid; empty when nothing is found.

        Raises KeyError for a structure that is not in `structures`.
        """
        ...

    def confidence(self, encoding: Encoding, part: Mask) -> float | None:
        """Confidence in [0, 1] in one piece of a structure's mask, None when nothing estimates one."""
        ...


@runtime_checkable
class TokenSource(Protocol):
    """A segmenter that also gives what a language model reads of a CT."""

    def tokens(self, encoding: Encoding) -> CTTokens | None:
        """The tokens of an encoded CT, None where there are none."""
        ...


@runtime_checkable
class SizeSource(Protocol):
    """A segmenter of which it was measured how small a lesion it finds."""

    lesion_sizes: Mapping[str, float]
    """Lesion -> the smallest long axis in mm that it finds reliably, infinite where it misses too many of any size;
    without the lesions where nothing is known."""
