"""What a file's tensors and a network's have in common: which matched, which did not, and why."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from torch import Tensor

from vision.errors import WeightsError
from vision.models.checkpoints.read import is_plain

Shapes = Mapping[str, tuple[int, ...]]


@dataclass(frozen=True)
class Mismatch:
    """A tensor that is there and does not fit: its shape, with its number format if that is why, and the wanted one."""

    key: str
    found: str
    wanted: str


@dataclass(frozen=True)
class LoadReport:
    """Every tensor of a file and of its network, once.

    `matched` go into the network. `missing` are the network's and not in the file. `mismatched` are in both, with
    another shape or number format. `unused` are known parts of the file that are not run. `unexpected` are others.
    """

    matched: tuple[str, ...]
    missing: tuple[str, ...]
    mismatched: tuple[Mismatch, ...]
    unused: tuple[str, ...]
    unexpected: tuple[str, ...]

    def require_whole(self) -> None:
        """Raise WeightsError: E_CHECKPOINT_UNKNOWN when nothing matched, E_CHECKPOINT_MISMATCH when not everything."""
        if not self.matched:
            raise WeightsError(
                "E_CHECKPOINT_UNKNOWN",
                f"None of the {len(self.missing) + len(self.mismatched)} tensors of the network is in the checkpoint.",
                "Give the checkpoint of a network that is known here.",
            )
        if self.missing or self.mismatched:
            first = next(iter(self.missing), None) or self.mismatched[0].key
            raise WeightsError(
                "E_CHECKPOINT_MISMATCH",
                f"{len(self.missing)} tensors of the network are missing from the checkpoint and "
                f"{len(self.mismatched)} do not fit; the first is {first!r}.",
                "Download the checkpoint again; a network with holes would segment at random.",
            )


def compare(wanted: Shapes, found: Mapping[str, Tensor], is_unused: Callable[[str], bool]) -> LoadReport:
    """Set a file's tensors against the shapes that a network wants."""
    fitting, mismatched = [], []
    for key, shape in wanted.items():
        tensor = found.get(key)
        if tensor is None:
            continue
        if is_plain(tensor) and tuple(tensor.shape) == shape:
            fitting.append(key)
        else:
            mismatched.append(Mismatch(key, _described(tensor), "x".join(map(str, shape)) or "one number"))
    others = [key for key in found if key not in wanted]
    return LoadReport(
        matched=tuple(fitting),
        missing=tuple(key for key in wanted if key not in found),
        mismatched=tuple(mismatched),
        unused=tuple(key for key in others if is_unused(key)),
        unexpected=tuple(key for key in others if not is_unused(key)),
    )


def _described(tensor: Tensor) -> str:
    shape = "x".join(map(str, tensor.shape)) or "one number"
    return shape if is_plain(tensor) else f"{shape} of {str(tensor.dtype).removeprefix('torch.')}"
