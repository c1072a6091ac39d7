"""Lesions in a prepared case: each lies in one organ, and a voxel of it belongs to both."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import cc3d
import numpy as np
from scipy import ndimage

from vision.geometry import box_around
from vision.structures import by_name

if TYPE_CHECKING:
    from vision.training.cases import TrainingCase

FREE_CODES = range(200, 256)
"""Codes that no label map has: tissues end below 100, structures of the table at 128."""
NEAR_VOXELS = 2


def lay_lesion(case: TrainingCase, name: str, voxels: np.ndarray, *, structures: Sequence[str]) -> TrainingCase:
    """The case with the lesion `name` at (I, J, K) bool `voxels`.

    Its voxels stay a part of everything that they were a part of; what grows out of the organ, or was cut out of the
    organ's mask, joins the organ that its piece touches most. A piece that touches no organ is the lesion alone.
    """
    box = box_around(voxels)
    if box is None:
        return case
    i, j, k = (slice(max(0, s.start - NEAR_VOXELS), s.stop + NEAR_VOXELS) for s in box)
    inside = np.ascontiguousarray(voxels[i, j, k]).view(np.uint8)
    tissues, members, kin = case.tissues.copy(), case.members.copy(), case.kin.copy()
    window = tissues[i, j, k]
    hosts = [structures.index(organ) for organ in by_name(name).lesion_of if organ in structures]
    own = structures.index(name) if name in structures else None
    pieces, count = cc3d.connected_components(np.pad(inside, [(0, 1)] * 3), connectivity=26, return_N=True)
    for number in range(1, count + 1):
        piece = pieces[:-1, :-1, :-1] == number
        near = window[ndimage.binary_dilation(piece, iterations=NEAR_VOXELS)]
        host = _host(case, near, hosts)
        organ_code = None if host is None else _code_of(case, host, near)
        for code in np.unique(window[piece]):
            here = piece & (window == code)
            belongs = members[:, code].copy()
            if host is not None and not belongs[hosts].any():
                belongs[host] = True
            if own is not None:
                belongs[own] = True
            shown_as = kin[code] if organ_code is None else organ_code
            window[here] = _free_code(members, kin, belongs, shown_as)
    return replace(case, tissues=tissues, members=members, kin=kin)


def _host(case: TrainingCase, near: np.ndarray, hosts: Sequence[int]) -> int | None:
    """The organ that most of the codes `near` (V,) belong to, a piece and around it, None when none is near."""
    shares = {host: int(case.members[host][near].sum()) for host in hosts}
    host = max(shares, key=lambda each: shares[each], default=None)
    return None if host is None or not shares[host] else host


def _code_of(case: TrainingCase, host: int, near: np.ndarray) -> int:
    """The code whose contrast the organ's most frequent code among `near` (V,) follows."""
    counts = np.bincount(near, minlength=256) * case.members[host]
    return int(case.kin[int(counts.argmax())])


def _free_code(members: np.ndarray, kin: np.ndarray, belongs: np.ndarray, shown_as: int) -> int:
    """The code of this membership and look, a free one when there is none yet; `members` and `kin` are written to."""
    for code in FREE_CODES:
        used = members[:, code].any()
        if used and kin[code] == shown_as and (members[:, code] == belongs).all():
            return code
        if not used:
            members[:, code], kin[code] = belongs, shown_as
            return code
    raise ValueError("a case cannot hold more than 56 kinds of lesion voxels")
