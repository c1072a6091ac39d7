"""One tumour at several times: pairs of a prior and a later CT with known growth, and an animation of one slice."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from vision.errors import InputRefused, UsageError
from vision.geometry import CTVolume, Mask
from vision.io.files.atomic import write_atomically
from vision.synthesis.tumours.case import hosts_of, known_lesions, organs_in
from vision.synthesis.tumours.cellular import CellularAutomaton
from vision.synthesis.tumours.protocol import Spacing, Tumour, Wish
from vision.synthesis.tumours.sheet import CAPTION, cut_pair, picture
from vision.synthesis.tumours.synthesise import synthesise
from vision.synthesis.tumours.upright import UprightCT

SMALLEST_SHARE = 0.2
LOOKS = 20
FRAME_MS, LAST_FRAME_MS = 150, 1500


def watch_growth(
    ct: NDArray[Any],
    organ_mask: NDArray[np.bool_],
    spacing: Spacing,
    *,
    wish: Wish,
    shares: Sequence[float],
    seed: int,
) -> Iterator[Tumour]:
    """The same tumour of a cellular automaton when its diameter was each of `shares` (above 0, at most 1) of the last.

    Arrays and errors as `synthesise`; every look is painted into the CT as given, so that two of them differ by the
    growth alone.
    """
    for share in shares:
        engine = CellularAutomaton(grown=share)
        yield synthesise(ct, organ_mask, spacing, wish=wish, engine=engine, rng=np.random.default_rng(seed))


def write_growth_in(path: Path, ct: CTVolume, masks: Mapping[str, Mask], *, wish: Wish, seed: int) -> Path:
    """`write_growth` in the wished organ of a CT of any orientation, away from lesions that are known.

    Raises InputRefused E_GRID for masks that do not lie on the CT, UsageError E_TUMOUR_ORGAN when none is of the organ,
    and as `write_growth`.
    """
    if not all(mask.grid.matches(ct.grid) for mask in masks.values()):
        raise InputRefused("E_GRID", "The masks do not lie on the CT.", "Resample them first.")
    if wish.organ not in organs_in(masks):
        raise UsageError(
            "E_TUMOUR_ORGAN", f"The {wish.organ} is not annotated in it.", "Annotate it, or name another with --organ."
        )
    upright = UprightCT.of(ct, masks)
    known = upright.near(upright.union(known_lesions((wish.organ,))))
    room = upright.union(hosts_of(wish.organ)) & ~known
    return write_growth(path, upright.hu, room, upright.spacing, wish=wish, seed=seed)


def write_growth(
    path: Path, ct: NDArray[Any], organ_mask: NDArray[np.bool_], spacing: Spacing, *, wish: Wish, seed: int
) -> Path:
    """Write an animated GIF of the axial slice where a tumour began to grow, with its diameter and volume.

    Raises as `synthesise`, and ResourceError when it cannot be written.
    """
    shares = np.linspace(SMALLEST_SHARE, 1.0, LOOKS).tolist()
    tumours = list(watch_growth(ct, organ_mask, spacing, wish=wish, shares=shares, seed=seed))
    first, last = tumours[0].facts, tumours[-1].facts
    frames = []
    for tumour in tumours:
        caption = f"{tumour.facts.equivalent_diameter_mm:.0f} mm, {tumour.facts.volume_ml:.1f} mL"
        pair = cut_pair(
            ct,
            tumour.ct,
            tumour.mask,
            spacing,
            centre=first.centre_voxel,
            long_axis_mm=last.long_axis_mm,
            caption=caption,
        )
        slice_ = picture(pair.after, np.zeros_like(pair.mask), pair.spacing)
        frame = Image.new("RGB", (slice_.width, slice_.height + CAPTION))
        frame.paste(slice_, (0, CAPTION))
        ImageDraw.Draw(frame).text((2, 2), pair.caption, fill=(255, 255, 255))
        frames.append(frame.convert("L"))
    durations = [FRAME_MS] * (len(frames) - 1) + [LAST_FRAME_MS]
    return write_atomically(
        path,
        lambda file: frames[0].save(
            file, format="GIF", save_all=True, append_images=frames[1:], duration=durations, loop=0
        ),
    )
