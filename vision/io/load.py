"""load_ct: the one way a CT gets in, read by a child process under limits."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from vision.errors import InputRefused
from vision.geometry import CTVolume
from vision.io import apart
from vision.io.choices import ASK, Choices
from vision.io.dicom.choice import choose_series
from vision.io.dicom.file import pydicom_silenced
from vision.io.dicom.series import SeriesInfo, find_series
from vision.io.dicom.volume import read_series_ct
from vision.io.files.entries import Entry, file_entry, folder_entries, require_readable, zip_entries
from vision.io.files.sniff import is_dicom, is_zip
from vision.io.nifti.volume import read_nifti_ct
from vision.io.refusal import LIMITS, Limits, refusing
from vision.segmenter import Progress, no_progress

NIFTI_NAMES = (".nii", ".nii.gz")
CASE_CT_NAMES = ("ct.nii.gz", "ct.nii")


def load_ct(
    path: str | Path, *, choices: Choices = ASK, limits: Limits = LIMITS, progress: Progress = no_progress
) -> CTVolume:
    """Open a CT: a NIfTI file, a DICOM folder (searched below, other files ignored) or a zip of either.

    The kind is told by content, not by name. The file's own axis order is kept; the grid is RAS+ mm; `choices` settles
    what the file leaves open.
    A child process parses it, so that no file can hang, crash or fill this one; `progress` is called meanwhile and may
    raise to stop it. Raises InputRefused for what cannot be opened without guessing, ResourceError E_MEMORY or
    E_TIMEOUT, and nothing else; the codes are stable.
    """
    if not apart.SUPPORTED:
        return read_ct(path, choices=choices, limits=limits)
    return apart.load_apart(Path(path), choices=choices, limits=limits, progress=progress)


def read_ct(path: str | Path, *, choices: Choices = ASK, limits: Limits = LIMITS) -> CTVolume:
    """`load_ct` in this very process: what the child does, and for files of one's own making."""
    entry, entries = _contents(Path(path), limits)
    if entry is not None:
        with refusing("E_CORRUPT", "The NIfTI file cannot be read"), entry.stream() as file:
            return read_nifti_ct(file, choices=choices, limits=limits)
    with pydicom_silenced(), refusing("E_CORRUPT", "The DICOM series cannot be read"):
        found, rows = find_series(entries, limits)
        return read_series_ct(choose_series(found, rows, choices.series), limits, choices=choices)


def inventory(path: str | Path, *, limits: Limits = LIMITS, progress: Progress = no_progress) -> list[SeriesInfo]:
    """List the series of a DICOM folder, file or zip; a NIfTI file is one series of modality 'NIfTI'.

    A child process parses it. Raises as `load_ct` does, except for having to choose.
    """
    if not apart.SUPPORTED:
        return read_inventory(path, limits=limits)
    return apart.inventory_apart(Path(path), limits=limits, progress=progress)


def read_inventory(path: str | Path, *, limits: Limits = LIMITS) -> list[SeriesInfo]:
    """`inventory` in this very process."""
    entry, entries = _contents(Path(path), limits)
    if entry is None:
        with pydicom_silenced(), refusing("E_CORRUPT", "The DICOM files cannot be read"):
            return find_series(entries, limits)[1]
    from vision.io.files.stream import ByteStream
    from vision.io.nifti.header import read_header

    with refusing("E_CORRUPT", "The NIfTI file cannot be read"), entry.stream() as file:
        header = read_header(ByteStream(file, limits.bytes), limits)
    i, j, k = header.grid.shape
    spacing = header.grid.spacing_mm
    return [
        SeriesInfo(volume, "-", "NIfTI", k, (i, j), (spacing[0], spacing[1]), None, header.grid.axcodes, 0)
        for volume in range(header.volumes)
    ]


def _contents(path: Path, limits: Limits) -> tuple[Entry | None, Sequence[Entry]]:
    """The one NIfTI file of an input, or else the entries among which DICOM files are."""
    status = require_readable(path)
    if path.is_dir():
        with refusing("E_PERM", "The folder cannot be listed", "Change its permissions or copy it."):
            return _among(folder_entries(path, limits), limits)
    if status.st_size == 0:
        raise InputRefused("E_EMPTY", "The file has no bytes.", "Export or download it again.")
    single = file_entry(path)
    start = single.start()
    if is_zip(start):
        return _among(zip_entries(path, limits), limits)
    return (None, [single]) if is_dicom(start) else (single, [])


def _among(entries: Sequence[Entry], limits: Limits) -> tuple[Entry | None, Sequence[Entry]]:
    """A folder or archive without DICOM may hold one NIfTI file, or a case whose CT is called ct.nii.gz."""
    volumes = [entry for entry in entries if entry.name.lower().endswith(NIFTI_NAMES)]
    named = [entry for entry in volumes if entry.name.lower() in CASE_CT_NAMES]
    chosen = named if len(named) == 1 else volumes
    if len(chosen) == 1 and not any(is_dicom(entry.start()) for entry in entries if entry not in volumes):
        return chosen[0], []
    if not any(is_dicom(entry.start()) for entry in entries):
        what = f"{len(volumes)} NIfTI files and no DICOM" if volumes else "no DICOM image and no NIfTI file"
        raise InputRefused("E_NO_IMAGES", f"It holds {what}.", "Give the CT itself or the folder of its slices.")
    return None, entries
