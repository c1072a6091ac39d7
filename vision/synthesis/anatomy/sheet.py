"""A contact sheet: what drawn CTs look like, one row a case, so that a person sees what a network learns from."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from vision.io.files.atomic import write_atomically
from vision.synthesis.anatomy.synthesise import SyntheticCT
from vision.synthesis.anatomy.tissues import Tissue

WINDOW_HU = (-125.0, 275.0)
SIDE = 300
_LEVELS = (0.8, 0.5, 0.15)


def contact_sheet(cases: Sequence[SyntheticCT], png: Path) -> Path:
    """Write a picture with a row a case: three axial slices through the liver's height, a coronal, a sagittal.

    The patient's right is on the left, the window -125 to 275 HU. Raises ValueError without cases, ResourceError.
    """
    if not cases:
        raise ValueError("a contact sheet shows at least one case")
    sheet = Image.new("L", (SIDE * (len(_LEVELS) + 2), SIDE * len(cases)))
    for row, case in enumerate(cases):
        for column, plane in enumerate(_planes(case)):
            sheet.paste(_picture(plane), (column * SIDE, row * SIDE))
    return write_atomically(png, lambda file: sheet.save(file, format="PNG"))


def _planes(case: SyntheticCT) -> list[np.ndarray]:
    """Planes of HU, first axis to the picture's right, second up."""
    livers = np.flatnonzero(np.any(case.tissues == Tissue.LIVER, axis=(0, 1)))
    low, high = (int(livers[0]), int(livers[-1])) if len(livers) else (0, case.hu.shape[2] - 1)
    mirrored = case.hu[::-1]
    axial = [mirrored[:, :, round(low + level * (high - low))] for level in _LEVELS]
    return [*axial, mirrored[:, case.hu.shape[1] // 2], case.hu[case.hu.shape[0] // 2]]


def _picture(plane: np.ndarray) -> Image.Image:
    low, high = WINDOW_HU
    grey = np.clip((plane.T[::-1].astype(np.float32) - low) / (high - low) * 255, 0, 255).astype(np.uint8)
    picture = Image.fromarray(np.ascontiguousarray(grey))
    scale = SIDE / max(picture.size)
    return picture.resize((max(1, round(picture.width * scale)), max(1, round(picture.height * scale))))
