"""Make a phantom: draw a person, paint the anatomy, seat the lesions, scan it."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from types import MappingProxyType

import numpy as np
from scipy import ndimage

from vision.geometry import CTVolume, Grid, Mask
from vision.phantom import frame, hollow, organs
from vision.phantom.canvas import Canvas
from vision.phantom.condition import AS_DRAWN, Condition
from vision.phantom.shapes import Stage, smooth_noise
from vision.phantom.tissues import LESION_CONTRAST, PHASES, draw_tissues, typical_tissues
from vision.phantom.truth import PARTS, Lesion, LesionTruth, Phantom, PhantomTruth, ellipsoid_ml, lesion_distance

DEMO_LESION = Lesion(structure="pancreas_lesion", part="tail", long_axis_mm=25.0)
EXTENT_MM = (372.0, 288.0, 305.0)
LOWEST_Z_MM = -140.0
LIVER_MIDDLE_X = 22.0
LARGEST_MM = {("liver_lesion", "right"): 60.0, ("kidney_lesion", "left"): 45.0, ("kidney_lesion", "right"): 45.0}
PANCREAS_PARTS = ("pancreas_head", "pancreas_body", "pancreas_tail")
STRUCTURES = (
    *("adrenal_gland_left", "adrenal_gland_right", "aorta", "colon", "duodenum", "esophagus", "gall_bladder"),
    *("intestine", "kidney_left", "kidney_right", "liver", "lung_left", "lung_right", *PANCREAS_PARTS),
    *("portal_vein_and_splenic_vein", "postcava", "spleen", "stomach"),
)
ORGAN_OF = {"pancreas_lesion": "pancreas", "liver_lesion": "liver"}


def make_phantom(
    *,
    seed: int = 0,
    spacing_mm: tuple[float, float, float] = (1.5, 1.5, 2.5),
    shape: tuple[int, int, int] | None = None,
    lesions: Sequence[Lesion] | None = None,
    phase: str = "portal_venous",
    condition: Condition = AS_DRAWN,
) -> Phantom:
    """Make a synthetic abdominal CT with exact masks, the same bytes for the same arguments.

    Seed 0 is the demo: a standard adult with one hypo-attenuating tumour of 25 mm in the tail of the pancreas. Other
    seeds vary body, organs, HU, noise, and 0 to 3 lesions, less those that find no place or touch another.
    `lesions` replaces the lesions of the seed. `shape` is the number of voxels (I, J, K), by default what covers the
    trunk from the lung bases to the iliac crests. `condition` replaces what the seed draws of the person. Masks hold
    every structure, empty where the box misses it or it is missing; a lesion's voxels belong to its organ too.
    Raises ValueError for an unknown phase, a lesion of `lesions` that finds no place in the box, or two that touch.
    """
    if phase not in PHASES:
        raise ValueError(f"phase is one of {', '.join(PHASES)}, got {phase!r}")
    rng = np.random.default_rng([seed, 20])
    stage, build, tissues, noise_hu = _person(rng, seed, spacing_mm, shape, phase)
    build, tissues = condition.of_build(build), condition.of_tissues(tissues, phase)
    noise_hu = condition.of_noise(noise_hu)
    drawn = _lesions_of(rng, seed)
    canvas = _paint(stage, build, tissues, rng)
    if lesions is None:
        wanted = [lesion for lesion in drawn if _has_place(canvas, build, lesion)]
        truths = _without_touching(_seat_lesions(canvas, build, tissues, wanted, rng, seed=seed, phase=phase))
    else:
        truths = _seat_lesions(canvas, build, tissues, lesions, rng, seed=seed, phase=phase)
        _require_apart(truths)
    lesion_voxels = [_paint_lesion(canvas, truth) for truth in truths]
    masks = _masks(canvas, truths, lesion_voxels)
    hu = _scan(canvas.hu, noise_hu, rng)
    facts: dict[str, str | float | int] = {"phase": phase, "slice_thickness_mm": float(spacing_mm[2]), "kvp": 120}
    truth = PhantomTruth(seed, phase, tuple(truths), MappingProxyType(tissues), noise_hu)
    return Phantom(CTVolume(hu, stage.grid, facts), MappingProxyType(masks), truth)


def _person(
    rng: np.random.Generator,
    seed: int,
    spacing_mm: tuple[float, float, float],
    shape: tuple[int, int, int] | None,
    phase: str,
) -> tuple[Stage, organs.Build, dict[str, float], float]:
    """Draw the person of a seed; seed 0 is the standard adult."""
    if seed == 0:
        scale, build, tissues, noise_hu = (1.0, 1.0, 1.0), organs.Build.standard(), typical_tissues(phase), 13.0
    else:
        sx, sy, sz = rng.uniform((0.9, 0.88, 0.92), (1.12, 1.15, 1.08))
        scale, build = (float(sx), float(sy), float(sz)), organs.Build.drawn(rng)
        tissues, noise_hu = draw_tissues(rng, phase), float(rng.uniform(8, 22))
    fat = 2 * max(0.0, build.subcutis_mm)
    extent = [(e + f) * s for e, f, s in zip(EXTENT_MM, (1.3 * fat, fat, 0.0), scale, strict=True)]
    count = shape if shape is not None else tuple(round(e / d) for e, d in zip(extent, spacing_mm, strict=True))
    start = [-(n - 1) * d / 2 for n, d in zip(count, spacing_mm, strict=True)]
    origin = (start[0], start[1] - 8.0, LOWEST_Z_MM * scale[2] + (extent[2] / 2 + start[2]))
    grid = Grid.from_spacing((count[0], count[1], count[2]), spacing_mm, origin)
    warp = [2.2 * smooth_noise(rng, grid.shape, spacing_mm, 55.0) for _ in range(3)]
    warp = [np.clip(w, -7, 7, out=w) for w in warp]
    ripple = np.clip(smooth_noise(rng, grid.shape, spacing_mm, 16.0), -2.5, 2.5)
    axes = [o + d * np.arange(n, dtype=np.float32) for o, d, n in zip(origin, spacing_mm, grid.shape, strict=True)]
    reach = [(slice(None), None, None), (None, slice(None), None), (None, None, slice(None))]
    x, y, z = ((axes[a][reach[a]] / np.float32(scale[a]) + warp[a]).astype(np.float32) for a in range(3))
    return Stage(grid, scale, (x, y, z), 7.5, ripple), build, tissues, noise_hu


def _paint(stage: Stage, build: organs.Build, tissues: dict[str, float], rng: np.random.Generator) -> Canvas:
    """Paint the whole anatomy without lesions."""
    canvas = Canvas.blank(stage, -1000.0, STRUCTURES)
    skin = (frame.body_distance(stage) - build.subcutis_mm).astype(np.float32)
    cavity = frame.cavity_distance(stage).astype(np.float32)
    frame.paint_body(canvas, tissues, skin, cavity)
    hollow.paint_strands(canvas, tissues, cavity, rng)
    frame.paint_spine(canvas, tissues)
    frame.paint_lungs(canvas, tissues, cavity, rng)
    frame.paint_ribs(canvas, tissues)
    hollow.paint_intestine(canvas, tissues, rng)
    hollow.paint_jejunum(canvas, tissues, rng)
    hollow.paint_colon(canvas, tissues, build, rng)
    organs.paint_liver(canvas, tissues, cavity, build)
    organs.paint_spleen(canvas, tissues, cavity, build)
    hollow.paint_stomach(canvas, tissues, build, rng)
    organs.paint_kidneys(canvas, tissues, build)
    organs.paint_adrenals(canvas, tissues)
    hollow.paint_gall_bladder(canvas, tissues, build)
    organs.paint_pancreas(canvas, tissues, build)
    hollow.paint_vessels(canvas, tissues, build)
    back = -frame.HALF_DEPTH_MM * 0.96 * stage.scale[1] - build.subcutis_mm * stage.scale[1] - 3
    frame.paint_table(canvas, tissues, skin, body_back_mm=back)
    return canvas


def _lesions_of(rng: np.random.Generator, seed: int) -> tuple[Lesion, ...]:
    """The lesions that a seed asks for; at most one in an organ."""
    if seed == 0:
        return (DEMO_LESION,)
    places = [(structure, part) for structure, parts in PARTS.items() for part in parts]
    chosen = rng.permutation(len(places))[: int(rng.integers(0, 4))]
    drawn: list[Lesion] = []
    for structure, part in (places[n] for n in chosen):
        if any(_organ_of(other.structure, other.part) == _organ_of(structure, part) for other in drawn):
            continue
        long_axis = float(np.exp(rng.uniform(np.log(6.0), np.log(LARGEST_MM.get((structure, part), 38.0)))))
        short, height, angle = rng.uniform((0.65, 0.65, 0), (1, 1, 180))
        attenuation = "hyper" if rng.random() < 0.2 else "hypo"
        drawn.append(Lesion(structure, part, long_axis, float(short), float(height), float(angle), attenuation))
    return tuple(drawn)


def _seat_lesions(
    canvas: Canvas,
    build: organs.Build,
    tissues: dict[str, float],
    wanted: Sequence[Lesion],
    rng: np.random.Generator,
    *,
    seed: int,
    phase: str,
) -> list[LesionTruth]:
    """Give each lesion its centre, on a voxel so that its axial plane is a slice, and its HU."""
    truths: list[LesionTruth] = []
    for lesion in wanted:
        organ = _organ_of(lesion.structure, lesion.part)
        if organ == "pancreas":
            centre = canvas.stage.to_patient_mm(organs.lesion_seat(build, lesion.part))
        else:
            centre = _seat_within(canvas, organ, lesion, rng)
        name = "kidney_medulla" if organ.startswith("kidney") else organ
        low, high = LESION_CONTRAST[lesion.attenuation][PHASES.index(phase)]
        contrast = (low + high) / 2 if seed == 0 else float(rng.uniform(low, high))
        short, height = lesion.long_axis_mm * lesion.short_ratio, lesion.long_axis_mm * lesion.height_ratio
        truths.append(
            LesionTruth(
                structure=lesion.structure,
                organ=organ,
                part=lesion.part,
                centre_mm=(float(centre[0]), float(centre[1]), float(centre[2])),
                long_axis_mm=lesion.long_axis_mm,
                short_axis_mm=short,
                height_mm=height,
                angle_degrees=lesion.angle_degrees,
                volume_ml=ellipsoid_ml(lesion.long_axis_mm, short, height),
                mean_hu=tissues[name] + contrast,
                organ_hu=tissues[name],
                attenuation=lesion.attenuation,
            )
        )
    return truths


def _organ_of(structure: str, part: str) -> str:
    """The organ that a lesion lies in."""
    return ORGAN_OF.get(structure, f"kidney_{part}")


def _touch(first: LesionTruth, second: LesionTruth) -> bool:
    """Whether two lesions may touch, so that their sizes would no longer be known."""
    apart = float(np.linalg.norm(np.subtract(first.centre_mm, second.centre_mm)))
    return apart < (first.long_axis_mm + second.long_axis_mm) / 2 + 2


def _require_apart(truths: Sequence[LesionTruth]) -> None:
    """Raise ValueError when two lesions may touch."""
    for first, second in itertools.combinations(truths, 2):
        if _touch(first, second):
            raise ValueError(f"two lesions touch: the {first.structure} and the {second.structure} of {second.part}")


def _without_touching(truths: Sequence[LesionTruth]) -> list[LesionTruth]:
    """Those lesions that touch none before them."""
    kept: list[LesionTruth] = []
    for truth in truths:
        if not any(_touch(truth, other) for other in kept):
            kept.append(truth)
    return kept


def _has_place(canvas: Canvas, build: organs.Build, lesion: Lesion) -> bool:
    """Whether the seat of a lesion lies in the scanned box."""
    organ = _organ_of(lesion.structure, lesion.part)
    if organ == "pancreas":
        seat = organs.lesion_seat(build, lesion.part)
        return all(s.stop > s.start for s in canvas.stage.box(seat, seat))
    return bool(_place_of(canvas, organ, lesion).any())


def _place_of(canvas: Canvas, organ: str, lesion: Lesion) -> np.ndarray:
    """(I, J, K) bool of the voxels of an organ's part in which a lesion may be centred."""
    belongs = canvas.voxels_of(organ)
    if organ == "liver":
        on_the_right = canvas.stage.coordinates[0] > LIVER_MIDDLE_X
        belongs = belongs & (on_the_right if lesion.part == "right" else ~on_the_right)
    return belongs


def _seat_within(canvas: Canvas, organ: str, lesion: Lesion, rng: np.random.Generator) -> np.ndarray:
    """Draw a voxel of an organ, among those deep enough for a lesion or else the deepest; RAS+ mm (3,)."""
    grid = canvas.stage.grid
    belongs = _place_of(canvas, organ, lesion)
    mask = Mask(belongs, grid, organ)
    if mask.box is None:
        raise ValueError(f"no {organ} lies in the scanned box, so a {lesion.structure} finds no place")
    depth = ndimage.distance_transform_edt(np.pad(belongs[mask.box.slices], 1), sampling=grid.spacing_mm)
    depth = depth[1:-1, 1:-1, 1:-1]
    enough = min(lesion.long_axis_mm / 2 + 2, 0.85 * float(depth.max()))
    places = np.argwhere(depth >= enough)
    return grid.to_mm(places[int(rng.integers(len(places)))] + np.asarray(mask.box.start))


def _paint_lesion(canvas: Canvas, truth: LesionTruth) -> np.ndarray:
    """Paint one lesion in the patient's own mm, so that its size is exact; returns its voxels (I, J, K) bool."""
    grid = canvas.stage.grid
    reach = truth.long_axis_mm / 2 + 4
    centre = np.asarray(truth.centre_mm)
    first = np.clip(np.floor(grid.to_ijk(centre - reach)).astype(int), 0, None)
    last = np.clip(np.ceil(grid.to_ijk(centre + reach)).astype(int) + 1, None, grid.shape)
    i, j, k = (slice(int(a), int(b)) for a, b in zip(first, last, strict=True))
    origin, spacing = grid.affine[:3, 3], grid.spacing_mm
    x = (origin[0] + spacing[0] * np.arange(i.start, i.stop) - centre[0])[:, None, None]
    y = (origin[1] + spacing[1] * np.arange(j.start, j.stop) - centre[1])[None, :, None]
    z = (origin[2] + spacing[2] * np.arange(k.start, k.stop) - centre[2])[None, None, :]
    distance = lesion_distance((x, y, z), truth)
    share = np.clip(0.5 - distance / 2.0, 0, 1).astype(np.float32)
    texture = truth.mean_hu + 4 * canvas.stage.ripple[i, j, k]
    canvas.hu[i, j, k] += share * (texture - canvas.hu[i, j, k])
    voxels = np.zeros(grid.shape, dtype=bool)
    voxels[i, j, k] = distance < 0
    part = f"pancreas_{truth.part}" if truth.organ == "pancreas" else truth.organ
    canvas.labels[voxels] = canvas.label_of(part)
    return voxels


def _masks(canvas: Canvas, truths: Sequence[LesionTruth], lesion_voxels: Sequence[np.ndarray]) -> dict[str, Mask]:
    """Masks by structure name; empty where the box does not reach; the pancreas is the union of its parts.

    A lesion has a mask only where one was made, and its voxels belong to its organ too.
    """
    grid = canvas.stage.grid
    voxels = {name: canvas.voxels_of(name) for name in canvas.names}
    voxels["pancreas"] = np.any([voxels[name] for name in PANCREAS_PARTS], axis=0)
    for truth, inside in zip(truths, lesion_voxels, strict=True):
        voxels[truth.structure] = voxels.get(truth.structure, np.zeros_like(inside)) | inside
    return {name: Mask(inside, grid, name) for name, inside in voxels.items()}


def _scan(hu: np.ndarray, noise_hu: float, rng: np.random.Generator) -> np.ndarray:
    """Blur as a scanner does and add noise that is correlated in the slice; (I, J, K) int16."""
    blurred = ndimage.gaussian_filter(hu, (0.55, 0.55, 0.3))
    noise = ndimage.gaussian_filter(rng.standard_normal(hu.shape, dtype=np.float32), (0.85, 0.85, 0.25))
    blurred += noise * np.float32(noise_hu / noise.std())
    return np.clip(np.round(blurred), -1024, 3071).astype(np.int16)
