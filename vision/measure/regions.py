"""Regions: parts of the pancreas and segments of the liver, derived from masks by published landmarks.

All of them are approximations by planes and lengths, made from the masks alone. They say where a lesion lies; they are
no measurement of a part's volume. A result carries the rule that was used and the landmarks that were missing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from vision.geometry import Mask

PANCREAS_PARTS = ("pancreas_head", "pancreas_body", "pancreas_tail")
LIVER_SEGMENTS = tuple(f"liver_segment_{number}" for number in range(1, 9))
HEAD_SHARE, TAIL_SHARE = 0.35, 0.48
VEIN_WIDTH_MM = 25.0
VEIN_LENGTH_MM = 6.0
CANTLIE_DEGREES = (-30.0, 75.0)
CAUDATE_REACH_MM = 30.0
CAUDATE_BELOW_MM = 10.0
VENOUS_CONFLUENCE_MM = 25.0
PORTAL_BRANCH_ML = 0.3


@dataclass(frozen=True)
class Regions:
    """Disjoint parts that cover an organ exactly, keyed by their names in the structure table.

    `masks` is empty when the organ is empty or a landmark without which nothing can be said is missing. `method` says
    in a sentence or two which rule placed the borders, `missing` names the landmarks that were not there or not usable.
    `approximate` is True wherever a border does not follow the definition itself.
    """

    masks: Mapping[str, Mask]
    method: str
    approximate: bool
    missing: tuple[str, ...] = ()


def pancreas_parts(pancreas: Mask, *, aorta: Mask | None = None, portal: Mask | None = None) -> Regions:
    """Divide the pancreas into head, body and tail.

    Definition (TNM Classification of Malignant Tumours, 8th ed., 2017, pancreas; AJCC 8th ed.): the head lies to the
    right of the left border of the superior mesenteric vein, the body between that and the left border of the aorta,
    the tail beyond. Both borders are taken as sagittal planes.

    `portal` (portal_vein_and_splenic_vein) gives the vein's left border where its sections within the pancreas' slices
    are compact, not the splenic vein lengthwise. Without it the right border of the aorta stands in: the vein runs to
    the right of the superior mesenteric artery, which leaves the aorta to the front. Without `aorta` the gland is
    divided along its own length, geodesic from its right end, at 35 % and 48 %: where the aorta's two borders cross it
    in the median of 29 abdomens. The uncinate process where it reaches left behind the vein is called body by the
    plane, though it is part of the head. Raises ValueError for masks on different grids.
    """
    for landmark in (aorta, portal):
        if landmark is not None:
            landmark.require_grid(pancreas.grid)
    box = pancreas.box
    if box is None:
        return Regions({}, "", True, ("pancreas",))
    ijk = np.argwhere(pancreas.voxels[box.slices]) + box.start
    right = pancreas.grid.to_mm(ijk)[:, 0]
    borders = None if aorta is None else _aortic_borders(pancreas, aorta)
    vein = None if portal is None else _vein_border(pancreas, portal)
    missing = () if vein is not None else ("portal_vein_and_splenic_vein",)
    if borders is None:
        along = _length_share(pancreas, ijk)
        part = np.where(along < HEAD_SHARE, 0, np.where(along < TAIL_SHARE, 1, 2))
        method = (
            f"Length of the gland from its right end: head to {HEAD_SHARE:.0%}, body to {TAIL_SHARE:.0%}, then tail."
        )
        return Regions(_divided(pancreas, part, PANCREAS_PARTS), method, True, ("aorta", *missing))
    left_border, right_border = borders
    head_border = right_border if vein is None else max(vein, left_border)
    part = np.where(right > head_border, 0, np.where(right > left_border, 1, 2))
    stand_in = "right border of the aorta (in place of the superior mesenteric vein)"
    named = stand_in if vein is None else "left border of the superior mesenteric and portal vein"
    method = f"TNM 8: head to the right of the {named}, tail to the left of the left border of the aorta, body between."
    return Regions(_divided(pancreas, part, PANCREAS_PARTS), method, True, missing)


def liver_segments(
    liver: Mask, *, gall_bladder: Mask | None = None, postcava: Mask | None = None, portal: Mask | None = None
) -> Regions:
    """Divide the liver into the eight segments of Couinaud, approximately.

    Landmarks (Couinaud 1957; Bismuth, World J Surg 1982;6:3; Brisbane 2000 terms): the plane of Cantlie from the
    inferior vena cava to the gallbladder fossa parts right from left, the right hepatic vein 6/7 from 5/8, the
    umbilical fissure 4 from 2/3, the height of the portal bifurcation 7/8 from 6/5, and the left hepatic vein 2 from 3.

    What is approximated: planes turn around the centre of `postcava` slice by slice. The hepatic veins and the fissure
    are not in the masks. The two planes beside Cantlie's are turned so that each halves its half of the liver by
    volume, and 2 from 3 is parted at the height that halves them, near what portal territories have (Mise et al., HPB
    2014;16:439: 8 + 5 somewhat above 7 + 6, 4 about 2 + 3): so the segments' volumes mean nothing. The bifurcation
    is the median height of `portal` (portal_vein_and_splenic_vein) to the right of the vena cava, its right branch;
    without it, the top of the gallbladder, whose neck lies at the porta hepatis.
    Segment 1 is what lies left of the plane of Cantlie within 30 mm of the vena cava's centre, from 10 mm below
    the bifurcation to 25 mm below the liver's top. Veins vary between patients: a border is right to 1 or 2 cm.

    Without gallbladder or vena cava nothing is divided: `masks` is empty and `missing` names them; so for a gallbladder
    that is not 30 degrees left to 75 degrees right of the front of the vena cava, where no plane of Cantlie runs.
    Raises ValueError for masks on different grids.
    """
    for landmark in (gall_bladder, postcava, portal):
        if landmark is not None:
            landmark.require_grid(liver.grid)
    box = liver.box
    if box is None:
        return Regions({}, "", True, ("liver",))
    cava = None if postcava is None else _centre_line(postcava, box.start[_up(liver)], box.stop[_up(liver)])
    bladder_mm = _voxels_mm(gall_bladder)
    if cava is None or not bladder_mm.size:
        absent = {"gall_bladder": not bladder_mm.size, "postcava": cava is None}
        return Regions({}, "", True, tuple(name for name, gone in absent.items() if gone))
    middle = liver.grid.to_ijk(bladder_mm.mean(axis=0))[_up(liver)]
    cantlie = _degrees_right(bladder_mm[:, :2].mean(axis=0) - cava[int(np.clip(round(middle), 0, len(cava) - 1))])
    if not CANTLIE_DEGREES[0] <= cantlie <= CANTLIE_DEGREES[1]:
        return Regions({}, "", True, ("gall_bladder",))
    ijk = np.argwhere(liver.voxels[box.slices]) + box.start
    mm = liver.grid.to_mm(ijk)
    offset = mm[:, :2] - cava[ijk[:, _up(liver)]]
    turned = _degrees_right(offset) - float(cantlie)
    level = None if portal is None else _right_branch_height(portal, cava)
    if level is not None and not mm[:, 2].min() < level < mm[:, 2].max():
        level = None
    height = float(bladder_mm[:, 2].max()) if level is None else level
    caudate = (
        (turned < 0)
        & (np.hypot(offset[:, 0], offset[:, 1]) <= CAUDATE_REACH_MM)
        & (mm[:, 2] >= height - CAUDATE_BELOW_MM)
        & (mm[:, 2] <= mm[:, 2].max() - VENOUS_CONFLUENCE_MM)
    )
    segment = _numbered(turned, mm[:, 2], height, caudate)
    anchor = "top of the gallbladder" if level is None else "right portal branch"
    method = (
        "Couinaud by planes around the vena cava: the plane of Cantlie to the gallbladder, both halves halved, "
        f"7 and 8 above, 6 and 5 below the {anchor}, 2 above 3. Approximate."
    )
    missing = ("portal_vein_and_splenic_vein",) if level is None else ()
    return Regions(_divided(liver, segment - 1, LIVER_SEGMENTS), method, True, missing)


def _numbered(turned: np.ndarray, up: np.ndarray, level: float, caudate: np.ndarray) -> np.ndarray:
    """Couinaud numbers (n,) from degrees right of the plane of Cantlie, height in mm and the caudate lobe."""
    right, left = turned >= 0, (turned < 0) & ~caudate
    posterior = right & (turned > (np.median(turned[right]) if right.any() else 0.0))
    lateral = left & (turned < (np.median(turned[left]) if left.any() else 0.0))
    segment = np.where(right, np.where(up >= level, 8, 5), 4)
    segment = np.where(posterior, np.where(up >= level, 7, 6), segment)
    half = np.median(up[lateral]) if lateral.any() else level
    segment = np.where(lateral, np.where(up >= half, 2, 3), segment)
    return np.where(caudate, 1, segment)


def _up(mask: Mask) -> int:
    """The index axis along patient up-down."""
    return mask.grid.axis_of(2)


def _voxels_mm(mask: Mask | None) -> np.ndarray:
    """(n, 3) RAS+ mm of a mask's voxel centres, (0, 3) without one."""
    box = None if mask is None else mask.box
    if mask is None or box is None:
        return np.zeros((0, 3))
    return mask.grid.to_mm(np.argwhere(mask.voxels[box.slices]) + box.start)


def _degrees_right(offset: np.ndarray) -> np.ndarray:
    """Angle in degrees of (..., 2) right-left and front-back offsets: 0 to the front, 90 to the patient's right."""
    return np.degrees(np.arctan2(offset[..., 0], offset[..., 1]))


def _centre_line(vessel: Mask, first: int, stop: int) -> np.ndarray | None:
    """(slices, 2) right-left and front-back mm of a vessel's centre on every slice of the grid, held beyond its ends.

    None when it has no voxel on the slices first <= index < stop.
    """
    box = vessel.box
    up = _up(vessel)
    if box is None or box.start[up] >= stop or box.stop[up] <= first:
        return None
    ijk = np.argwhere(vessel.voxels[box.slices]) + box.start
    mm = vessel.grid.to_mm(ijk)
    counts = np.bincount(ijk[:, up])
    present = np.flatnonzero(counts)
    every = np.arange(vessel.grid.shape[up])
    sums = [np.bincount(ijk[:, up], weights=mm[:, axis])[present] / counts[present] for axis in (0, 1)]
    return np.stack([np.interp(every, present, centres) for centres in sums], axis=1)


def _right_branch_height(portal: Mask, cava: np.ndarray) -> float | None:
    """Median height in mm of the portal vein to the right of the vena cava's centre; None below 0.3 mL of it."""
    box = portal.box
    if box is None:
        return None
    ijk = np.argwhere(portal.voxels[box.slices]) + box.start
    mm = portal.grid.to_mm(ijk)
    branch = mm[:, 0] > cava[ijk[:, _up(portal)], 0]
    enough = int(branch.sum()) * portal.grid.voxel_ml >= PORTAL_BRANCH_ML
    return float(np.median(mm[branch, 2])) if enough else None


def _sections(vessel: Mask, organ: Mask) -> list[np.ndarray]:
    """Right-left mm of a vessel's voxels, one array for each axial slice that the organ reaches."""
    own, other = vessel.box, organ.box
    up = _up(organ)
    if own is None or other is None:
        return []
    first, stop = max(own.start[up], other.start[up]), min(own.stop[up], other.stop[up])
    sections = []
    for index in range(first, stop):
        window = [*own.slices]
        window[up] = slice(index, index + 1)
        ijk = np.argwhere(vessel.voxels[tuple(window)]) + [part.start for part in window]
        if len(ijk):
            sections.append(vessel.grid.to_mm(ijk)[:, 0])
    return sections


def _aortic_borders(pancreas: Mask, aorta: Mask) -> tuple[float, float] | None:
    """Left and right border in mm of the aorta over the slices of the pancreas, medians; None when not there."""
    sections = _sections(aorta, pancreas)
    if not sections:
        return None
    half = pancreas.grid.spacing_mm[pancreas.grid.axis_of(0)] / 2
    left, right = (np.median([edge(x) for x in sections]) for edge in (np.min, np.max))
    return float(left) - half, float(right) + half


def _vein_border(pancreas: Mask, portal: Mask) -> float | None:
    """Left border in mm of the superior mesenteric vein and portal trunk; None without enough compact sections."""
    compact = [x.min() for x in _sections(portal, pancreas) if np.ptp(x) <= VEIN_WIDTH_MM]
    if len(compact) * portal.grid.spacing_mm[_up(portal)] < VEIN_LENGTH_MM:
        return None
    return float(np.median(compact)) - portal.grid.spacing_mm[portal.grid.axis_of(0)] / 2


def _length_share(organ: Mask, ijk: np.ndarray) -> np.ndarray:
    """Where each voxel (n, 3) lies along an organ's own length: 0 at its right end, 1 at the far end.

    Geodesic distances inside the mask; a part that is not connected takes the value of the nearest connected voxel.
    """
    from scipy.spatial import cKDTree
    from skimage.graph import MCP_Geometric

    start = ijk.min(axis=0)
    local = ijk - start
    costs = np.full(tuple(local.max(axis=0) + 1), np.inf)
    costs[tuple(local.T)] = 1.0

    def distances(voxel: Sequence[int]) -> np.ndarray:
        path = MCP_Geometric(costs, sampling=organ.grid.spacing_mm)
        return path.find_costs([tuple(voxel)])[0][tuple(local.T)]

    from_right = distances(local[organ.grid.to_mm(ijk)[:, 0].argmax()])
    from_tail = distances(local[np.where(np.isfinite(from_right), from_right, -1.0).argmax()])
    from_head = distances(local[np.where(np.isfinite(from_tail), from_tail, -1.0).argmax()])
    reached = np.isfinite(from_head)
    total = from_head + from_tail
    share = np.where(reached, from_head / np.where(reached & (total > 0), total, 1.0), 0.0)
    if not reached.all():
        mm = organ.grid.to_mm(ijk)
        share[~reached] = share[reached][cKDTree(mm[reached]).query(mm[~reached])[1]]
    return share


def _divided(organ: Mask, part: np.ndarray, names: Sequence[str]) -> dict[str, Mask]:
    """Masks by name from the part number (n,) of every voxel of an organ, in the order of `np.argwhere`."""
    assert organ.box is not None, "an empty organ has no parts"
    window = organ.box.slices
    inside = organ.voxels[window]
    labels = np.zeros(inside.shape, dtype=np.uint8)
    labels[inside] = part + 1
    masks = {}
    for number, name in enumerate(names):
        voxels = np.zeros(organ.grid.shape, dtype=bool)
        voxels[window] = labels == number + 1
        masks[name] = Mask(voxels, organ.grid, name, organ.score)
    return masks
