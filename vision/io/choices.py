"""What a person decides where a file leaves room. The gate itself never decides: each default refuses."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

from vision.errors import UsageError

ORIENTATIONS = ("LPS", "RAS", "LAS")
"""Offered for a file without one: DICOM's, nibabel's and the old scanners' order of axes."""
_FLAG = re.compile(r"--(prefer (?:qform|sform)|assume-orientation|fix-offset|allow-gaps|resample)\b")
_LAST_VOLUME = re.compile(r"--volume N, N from 0 to (\d+)")
MOST_VOLUMES = 24


@dataclass(frozen=True)
class Choices:
    """The answers to the gate's questions; each refusal that one of them settles names its flag.

    Raises UsageError E_CHOICE for a value that is none of the possible ones.
    """

    series: str | None = None
    """Number or id of the DICOM series, as `inventory` lists them."""
    volume: int | None = None
    """Which volume of a 4D NIfTI, from 0."""
    prefer: str | None = None
    """Which of two contradicting NIfTI orientations is true: 'qform' or 'sform'."""
    assume_orientation: str | None = None
    """Axis codes such as 'LPS' for a NIfTI without orientation."""
    fix_offset: bool = False
    """Subtract the 1024 that was added to Hounsfield units."""
    allow_gaps: bool = False
    """Fill missing DICOM slices from their neighbours."""
    resample: bool = False
    """Put a tilted, sheared or unevenly spaced CT onto an upright, even grid."""

    def __post_init__(self) -> None:
        if self.prefer not in (None, "qform", "sform"):
            raise UsageError("E_CHOICE", f"{self.prefer!r} is no orientation.", "Use --prefer qform or --prefer sform.")
        axes = self.assume_orientation
        if axes is not None and not (
            re.fullmatch("[RLAPIS]{3}", axes) and len({"RLAPIS".index(end) // 2 for end in axes}) == 3
        ):
            raise UsageError(
                "E_CHOICE",
                "That is no order of axes.",
                "Name one of R/L, A/P and I/S each, as in --assume-orientation LPS.",
            )
        if self.volume is not None and self.volume < 0:
            raise UsageError("E_CHOICE", f"There is no volume {self.volume}.", "Volumes count from 0.")


ASK = Choices()
"""Nothing decided: whatever leaves room is refused."""


def ways_out(remedy: str, decided: Choices = ASK) -> dict[str, Choices]:
    """What a refusal says that a person may choose: a few words for each, and `decided` with that choice added.

    The remedy of a refusal names every flag that settles it; '--series N' needs the inventory and is not among them.
    """
    ways: dict[str, Choices] = {}
    for flag in dict.fromkeys(_FLAG.findall(remedy)):
        name, _, value = flag.partition(" ")
        if name == "prefer":
            ways[f"Take the {value}"] = replace(decided, prefer=value)
        elif name == "assume-orientation":
            ways |= {f"The axes are {axes}": replace(decided, assume_orientation=axes) for axes in ORIENTATIONS}
        elif name == "fix-offset":
            ways["Subtract 1024"] = replace(decided, fix_offset=True)
        elif name == "allow-gaps":
            ways["Fill the gaps from their neighbours"] = replace(decided, allow_gaps=True)
        else:
            ways["Resample it to an upright, even grid"] = replace(decided, resample=True)
    last = _LAST_VOLUME.search(remedy)
    if last is not None:
        numbers = range(min(int(last[1]) + 1, MOST_VOLUMES))
        ways |= {f"Volume {number}": replace(decided, volume=number) for number in numbers}
    return ways
