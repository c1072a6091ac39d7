"""What a person may decide about a file, and that every refusal which a choice settles offers that choice."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest

from tests.catalogue.make_dicom import series_of
from tests.catalogue.row import Maker
from tests.vision.small_files import AFFINE, body_hu, nifti_bytes
from vision.errors import InputRefused, UsageError
from vision.io import ASK, Choices
from vision.io.choices import ORIENTATIONS, ways_out
from vision.io.load import read_ct


def file_of(content: bytes) -> Maker:
    def make(folder: Path) -> Path:
        path = folder / "ct"
        path.write_bytes(content)
        return path

    return make


def tilted(slices) -> None:  # type: ignore[no-untyped-def]
    for k, one in enumerate(slices):
        x, y, z = one.ImagePositionPatient
        one.ImagePositionPatient = [float(x), float(y) + 1.5 * k, float(z)]


CONTRADICTION = nifti_bytes(fields={"qoffset_x": 40.0})
LATER_CONTRADICTION = nifti_bytes(np.stack([body_hu()] * 2, -1), fields={"qoffset_x": 40.0})


@pytest.mark.parametrize(
    ("make", "code", "labels"),
    [
        (file_of(CONTRADICTION), "E_AFFINE_CONFLICT", ["Take the sform", "Take the qform"]),
        (
            file_of(nifti_bytes(fields={"sform_code": 0, "qform_code": 0})),
            "E_NO_ORIENTATION",
            [f"The axes are {axes}" for axes in ORIENTATIONS],
        ),
        (file_of(nifti_bytes((body_hu() + 1024).astype(np.uint16))), "E_HU", ["Subtract 1024"]),
        (file_of(nifti_bytes(np.stack([body_hu()] * 3, -1))), "E_4D", ["Volume 0", "Volume 1", "Volume 2"]),
        (series_of(lambda s: s.pop(7)), "E_SLICES_MISSING", ["Fill the gaps from their neighbours"]),
        (series_of(tilted), "E_TILT", ["Resample it to an upright, even grid"]),
    ],
)
def test_each_way_out_of_a_refusal_opens_the_ct(make: Maker, code: str, labels: list[str], tmp_path: Path) -> None:
    path = make(tmp_path)
    with pytest.raises(InputRefused, match=f"{code}:") as refusal:
        read_ct(path)
    ways = ways_out(refusal.value.remedy)
    assert list(ways) == labels
    for choices in ways.values():
        assert read_ct(path, choices=choices).hu.size


def test_one_choice_is_added_to_another(tmp_path: Path) -> None:
    path = file_of(LATER_CONTRADICTION)(tmp_path)
    decided, opened = ASK, None
    for _ in range(3):
        try:
            opened = read_ct(path, choices=decided)
            break
        except InputRefused as refusal:
            decided = next(iter(ways_out(refusal.remedy, decided).values()))
    assert decided == Choices(volume=0, prefer="sform")
    assert opened is not None
    assert np.allclose(opened.grid.affine, AFFINE)


def test_a_refusal_that_nothing_settles_offers_nothing() -> None:
    assert ways_out("Export or download the file again.") == {}


def test_nothing_is_decided_by_default() -> None:
    assert set(asdict(ASK).values()) == {None, False}


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"prefer": "pixdim"}, "is no orientation"),
        ({"assume_orientation": "LPX"}, "no order of axes"),
        ({"assume_orientation": "LRS"}, "no order of axes"),
        ({"volume": -1}, "no volume -1"),
    ],
)
def test_an_impossible_choice_is_a_usage_error(wrong: dict[str, object], said: str) -> None:
    with pytest.raises(UsageError, match=f"E_CHOICE: .*{said}"):
        Choices(**wrong)  # type: ignore[arg-type]
