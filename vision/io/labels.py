"""Read segmentations to named masks. Two orders of the same integers circulate, so bare integers are never guessed."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from vision.errors import InputRefused, UsageError
from vision.geometry import Grid, Mask
from vision.io.choices import ASK
from vision.io.files.entries import file_entry, require_readable
from vision.io.files.stream import ByteStream
from vision.io.hu import slabs
from vision.io.nifti.volume import StoredVolume, read_nifti
from vision.io.refusal import LIMITS, Limits, refusing
from vision.io.write import SIDECAR_FORMAT, sidecar_of
from vision.structures import STRUCTURES, UNIVERSAL32, by_name

ORDERS: Mapping[str, Mapping[int, str]] = {
    "abdomenatlas1.1": {row.label: row.name for row in STRUCTURES if row.label is not None},
    "universal32": dict(UNIVERSAL32),
}
"""AbdomenAtlas 1.1 (1 to 25, with the table's own above 100) and the 32 classes of the Universal Model."""

CHOOSE_ORDER = 'Say which: order="abdomenatlas1.1" (1 aorta, 5 liver) or order="universal32" (1 spleen, 6 liver).'
COMBINED = "combined_labels.nii.gz"
SIDECAR_BYTES = 1 << 20


def load_labels(path: str | Path, *, order: str | None = None, limits: Limits = LIMITS) -> dict[str, Mask]:
    """Open a label map, or an AbdomenAtlas case folder, as masks by structure name.

    A folder is read from `segmentations/<name>.nii.gz`, else from `combined_labels.nii.gz`; names may be aliases.
    The integers of a label map are named by `order`, else by the names that `write_label_map` put beside it.
    Label maps give the structures that occur in them, folders every file, empty ones too.
    Raises UsageError E_ORDER for an unknown order; InputRefused E_LABEL_ORDER (no order), E_LABEL (integer, number or
    file name without a structure), E_GRID (masks on different grids) and what the NIfTI gate raises.
    """
    if order is not None and order not in ORDERS:
        raise UsageError("E_ORDER", f"There is no label order {order!r}.", CHOOSE_ORDER)
    source = Path(path)
    require_readable(source)
    if not source.is_dir():
        return _from_label_map(source, order, limits)
    folder = source / "segmentations" if (source / "segmentations").is_dir() else source
    files = sorted(file for file in folder.glob("*.nii.gz") if file.name not in (COMBINED, "ct.nii.gz"))
    if files:
        return _from_files(files, limits)
    if (source / COMBINED).is_file():
        return _from_label_map(source / COMBINED, order, limits)
    raise InputRefused("E_NO_IMAGES", "The folder holds no segmentation.", "It needs segmentations/<name>.nii.gz.")


def _from_label_map(path: Path, order: str | None, limits: Limits) -> dict[str, Mask]:
    names = ORDERS[order] if order is not None else _sidecar(sidecar_of(path))
    if names is None:
        raise InputRefused("E_LABEL_ORDER", "The file does not say which integer is which structure.", CHOOSE_ORDER)
    labels, grid = load_integers(path, limits)
    present = np.unique(np.concatenate([np.unique(labels[piece]) for piece in slabs(grid.shape)]))
    unknown = [int(number) for number in present if number and int(number) not in names]
    if unknown:
        raise InputRefused(
            "E_LABEL", f"No structure has the integers {unknown[:10]} in this order.", "Check the order of the labels."
        )
    return {names[int(n)]: Mask(labels == n, grid, names[int(n)]) for n in present if n}


def _from_files(files: list[Path], limits: Limits) -> dict[str, Mask]:
    masks: dict[str, Mask] = {}
    first: Grid | None = None
    for number, file in enumerate(files, start=1):
        try:
            name = by_name(file.name.removesuffix(".nii.gz")).name
        except UsageError as error:
            what = f"Mask file {number} of {len(files)} is named after no known structure."
            raise InputRefused("E_LABEL", what, error.remedy) from None
        labels, grid = load_integers(file, limits)
        first = first or grid
        if not grid.matches(first):
            raise InputRefused("E_GRID", f"The mask of {name} lies on another grid.", "Segment one CT per folder.")
        masks[name] = Mask(labels > 0, grid, name)
    return masks


def load_integers(path: Path, limits: Limits = LIMITS) -> tuple[np.ndarray, Grid]:
    """A segmentation's voxels (I, J, K) as uint8 or uint16, and its grid; what the integers mean is the caller's.

    Raises InputRefused E_LABEL for other values than whole numbers, and what the NIfTI gate raises.
    """
    require_readable(path)
    with refusing("E_CORRUPT", "The segmentation cannot be read"), file_entry(path).stream() as file:
        stored = read_nifti(ByteStream(file, limits.bytes), choices=ASK, limits=limits)
    if stored.voxels.dtype == np.uint8 and (stored.slope, stored.intercept) == (1.0, 0.0):
        return stored.voxels, stored.grid
    return _narrowed(stored), stored.grid


def _narrowed(stored: StoredVolume) -> np.ndarray:
    labels = np.empty(stored.grid.shape, dtype=np.uint16, order="F")
    for piece in slabs(stored.grid.shape):
        plane = stored.voxels[piece].astype(np.float64) * stored.slope + stored.intercept
        if not np.isfinite(plane).all() or plane.min() < 0 or plane.max() > 65535 or (plane != np.rint(plane)).any():
            raise InputRefused("E_LABEL", "The segmentation holds other values than whole numbers.", "Give labels.")
        labels[piece] = plane
    return labels


def _sidecar(path: Path) -> dict[int, str] | None:
    """The names that `write_label_map` put beside a label map; None when there are none of ours."""
    if not path.is_file():
        return None
    with refusing("E_LABEL", "The names beside the label map cannot be read", CHOOSE_ORDER):
        with file_entry(path).stream() as file:
            text = file.read(SIDECAR_BYTES + 1)
        if len(text) > SIDECAR_BYTES:
            return None
        content = json.loads(text)
        if not isinstance(content, dict) or content.get("format") != SIDECAR_FORMAT:
            return None
        return {int(number): by_name(str(name)).name for number, name in content["labels"].items()}
