"""Files that a visitor sends: renamed before anything reads them, removed as soon as the CT is open."""

from __future__ import annotations

import secrets
from pathlib import Path

from vision.errors import InputRefused

ACCEPTED = (".nii.gz", ".nii", ".zip")


def take_upload(upload: Path, folder: Path) -> Path:
    """Move an upload into a private folder under a name that says nothing, and return where it is.

    Its own name, often that of a patient, is forgotten here. Raises InputRefused for a kind of file that is no CT.
    """
    ending = next((ending for ending in ACCEPTED if upload.name.lower().endswith(ending)), None)
    if ending is None:
        upload.unlink(missing_ok=True)
        raise InputRefused(
            "E_FILE_TYPE",
            "This file is neither NIfTI nor a zip of DICOM.",
            "Choose a .nii, a .nii.gz, or a .zip of one DICOM series or study.",
        )
    taken = folder / f"{secrets.token_hex(8)}{ending}"
    upload.rename(taken)
    return taken


def describe_upload(upload: Path) -> str:
    """What the chat says was sent: kind and size, not the name."""
    kind = "DICOM zip" if upload.name.lower().endswith(".zip") else "NIfTI"
    return f"CT file ({kind}, {max(1, round(upload.stat().st_size / 1e6))} MB)"
