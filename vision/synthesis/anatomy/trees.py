"""Branching vessels of the liver: trees that grow from the hilum and from the vena cava to points of the parenchyma."""

from __future__ import annotations

import numpy as np
from scipy.spatial import cKDTree

from vision.geometry import box_around
from vision.synthesis.anatomy.carve import depth_mm
from vision.synthesis.anatomy.tissues import Tissue

TWIGS = 70
TWIG_RADIUS, MURRAY = 0.72, 2.7
"""Radius of a twig in voxels, and the power of radii that a branching keeps (Murray's law has 3)."""


def draw_liver_vessels(tissues: np.ndarray, rng: np.random.Generator) -> None:
    """Draw hepatic veins and portal branches into a liver without vessels, in place."""
    box = box_around(tissues == Tissue.LIVER, 2)
    if box is None or (tissues == Tissue.HEPATIC_VESSEL).any():
        return
    part = tissues[box]
    liver = part == Tissue.LIVER
    deep = depth_mm(liver)
    targets = np.argwhere(deep > 6).astype(np.float32)
    if len(targets) < 50 * TWIGS:
        return
    cava, portal = np.argwhere(part == Tissue.POSTCAVA), np.argwhere(part == Tissue.PORTAL_VEIN_AND_SPLENIC_VEIN)
    middle = targets.mean(0)
    upper = cava[cava[:, 2] > np.quantile(targets[:, 2], 0.75)] if len(cava) else cava
    roots = (
        _nearest(upper, middle) if len(upper) else targets[np.argmax(targets[:, 2] - 0.5 * targets[:, 1])],
        _nearest(portal if len(portal) else targets, middle),
    )
    vessel = np.zeros(part.shape, dtype=bool)
    for root in roots:
        _stamp(vessel, *grow_tree(root, targets[rng.integers(len(targets), size=TWIGS)], rng))
    part[vessel & liver & (deep > 2.5)] = Tissue.LIVER_VEIN


def grow_tree(root: np.ndarray, ends: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Join `ends` (E, 3) to `root` (3,), near ones first, each to the nearest part of what has grown so far.

    Returns points (P, 3), a voxel apart, and the radius (P,) in voxels at each: it grows with the number of ends that
    a point feeds.
    """
    points, parents = [np.asarray(root, dtype=np.float32)], [-1]
    ends = ends[np.argsort(np.linalg.norm(ends - root, axis=1))]
    for end in ends:
        grown = np.array(points)
        # A branch leaves its stem forwards: nodes nearer to the root than the end cost less.
        start = int(np.argmin(np.linalg.norm(grown - end, axis=1) + 0.15 * np.linalg.norm(grown - root, axis=1)))
        length = float(np.linalg.norm(end - grown[start]))
        steps = max(1, round(length))
        along = np.linspace(0, 1, steps + 1)[1:, None]
        bow = rng.normal(0, 0.1 * length, 3) * np.sin(np.pi * along) ** 2
        path = grown[start] + along * (end - grown[start]) + bow
        for number, point in enumerate(path.astype(np.float32)):
            parents.append(start if number == 0 else len(points) - 1)
            points.append(point)
    fed = np.zeros(len(points))
    leaves = np.setdiff1d(np.arange(len(points)), parents)
    fed[leaves] = 1
    for node in range(len(points) - 1, 0, -1):
        fed[parents[node]] += fed[node]
    return np.array(points), TWIG_RADIUS * np.maximum(fed, 1) ** (1 / MURRAY)


def _stamp(vessel: np.ndarray, points: np.ndarray, radii: np.ndarray) -> None:
    """Set the voxels within each point's radius, in place."""
    reach = int(np.ceil(radii.max()))
    ball = np.argwhere(np.ones((2 * reach + 1,) * 3, dtype=bool)) - reach
    for level in np.unique(np.ceil(radii)):
        chosen = np.ceil(radii) == level
        offsets = ball[(np.abs(ball) <= level).all(1)]
        voxels = (np.round(points[chosen])[:, None] + offsets[None]).reshape(-1, 3)
        voxels = np.unique(voxels[((voxels >= 0) & (voxels < vessel.shape)).all(1)].astype(np.int32), axis=0)
        distance, nearest = cKDTree(points[chosen]).query(voxels)
        inside = voxels[distance <= radii[chosen][nearest]]
        vessel[tuple(inside.T)] = True


def _nearest(places: np.ndarray, to: np.ndarray) -> np.ndarray:
    return places[np.argmin(np.linalg.norm(places - to, axis=1))].astype(np.float32)
