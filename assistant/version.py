"""Which software is speaking: read from the installed packages' metadata, nothing is imported for it."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version

LIBRARIES = ("torch", "numpy", "nibabel", "pydicom", "highdicom", "gradio")


def software_version() -> str:
    """The version of the installed assistant, 'not installed' when it runs from a bare folder."""
    return _version_of("bodymaps-assistant")


def library_versions() -> dict[str, str]:
    """Name -> version of the libraries on which a result depends most."""
    return {name: _version_of(name) for name in LIBRARIES}


def _version_of(distribution: str) -> str:
    try:
        return version(distribution)
    except PackageNotFoundError:
        return "not installed"
