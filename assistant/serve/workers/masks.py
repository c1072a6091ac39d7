"""Masks on their way from a worker: the bits inside each one's box, checked against the CT before use."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
from pydantic import BaseModel, ConfigDict

from vision.geometry import Grid, Mask
from vision.structures import STRUCTURES

EMPTY = (0, 0, 0)
KNOWN = frozenset(structure.name for structure in STRUCTURES)


class MaskRecord(BaseModel):
    """Where the bits of one mask belong: half-open voxels `start` to `stop` on the CT's grid, both zero when empty."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: str
    structure: str
    score: float | None
    start: tuple[int, int, int]
    stop: tuple[int, int, int]

    @property
    def shape(self) -> tuple[int, int, int]:
        """Voxels of the box along each axis."""
        i, j, k = (b - a for a, b in zip(self.start, self.stop, strict=True))
        return i, j, k

    @property
    def size(self) -> int:
        """Bytes that its bits take."""
        return -(-math.prod(self.shape) // 8)


def pack_masks(masks: Mapping[str, Mask]) -> tuple[list[MaskRecord], bytes]:
    """Masks by finding id as records and, one after the other, the bits inside their boxes."""
    records, bits = [], []
    for finding_id, mask in masks.items():
        box = mask.box
        start, stop = (EMPTY, EMPTY) if box is None else (box.start, box.stop)
        records.append(MaskRecord(id=finding_id, structure=mask.structure, score=mask.score, start=start, stop=stop))
        if box is not None:
            bits.append(np.packbits(mask.voxels[box.slices]).tobytes())
    return records, b"".join(bits)


def unpack_masks(records: Sequence[MaskRecord], bits: bytes, grid: Grid) -> dict[str, Mask]:
    """The masks of `pack_masks` on a CT's grid. Raises ValueError for a box or bits that do not fit it."""
    masks, read = {}, 0
    for record in records:
        if record.structure not in KNOWN:
            raise ValueError("there is no such structure")
        spans = list(zip(record.start, record.stop, grid.shape, strict=True))
        empty = record.start == record.stop == EMPTY
        if not empty and any(not 0 <= a < b <= n for a, b, n in spans):
            raise ValueError(f"the mask of {record.id} leaves the CT of {grid.shape} voxels")
        if read + record.size > len(bits):
            raise ValueError("the masks are longer than their bits")
        voxels = np.zeros(grid.shape, dtype=bool)
        if not empty:
            packed = np.frombuffer(bits, np.uint8, count=record.size, offset=read)
            inside = np.unpackbits(packed, count=math.prod(record.shape)).reshape(record.shape)
            voxels[tuple(slice(a, b) for a, b, _ in spans)] = inside.view(bool)
        masks[record.id] = Mask(voxels, grid, record.structure, record.score)
        read += record.size
    if read != len(bits):
        raise ValueError("there are bits of no mask")
    return masks
