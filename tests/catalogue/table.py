"""The whole catalogue in the order of its numbers."""

from __future__ import annotations

from tests.catalogue import archives, content, dicom, files, manifests, models, nifti, requests
from tests.catalogue.row import Row

MODULES = (files, archives, nifti, dicom, content, requests, manifests, models)
ROWS: tuple[Row, ...] = tuple(sorted((row for module in MODULES for row in module.ROWS), key=lambda row: row.number))
"""Variants of one number in the order written."""
