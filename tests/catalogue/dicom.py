"""Rows 68 to 83: DICOM series whose slices are too few, too many, of several kinds, or lie where they should not."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.catalogue import dicom_files, dicom_hostile
from tests.catalogue.make_dicom import (
    Change,
    every,
    file_of,
    files_of,
    more,
    one,
    patched,
    rescaled,
    same_patient,
    series_of,
    shifted,
    shows_the_sphere,
    signed,
    sphere_series,
    with_high_bits,
    without,
)
from tests.catalogue.row import Maker, Row, accepted, refused, warned
from tests.vision.small_files import body_hu, dicom_bytes, dicom_slices
from vision.errors import InputRefused
from vision.geometry import CTVolume
from vision.io import Choices, inventory
from vision.io.load import read_ct

FILL, RESAMPLE = Choices(allow_gaps=True), Choices(resample=True)
NO_RESCALE = {"RescaleSlope": None, "RescaleIntercept": None}
BODY = body_hu
ODD = range(1, 20, 2)
THIN = every(SliceThickness="4"), shifted(lambda k: (0, 0, -4.0 * k))
"""Slices of 4 mm, one at the next."""


def says(number: int, name: str, code: str, make: Maker, *words: str, why: str = "") -> Row:
    """A row whose refusal holds certain words: what is wrong and the flag that settles it."""

    def check(folder: Path) -> None:
        with pytest.raises(InputRefused, match=f"^{code}:") as refusal:
            read_ct(make(folder))
        assert all(word in str(refusal.value) for word in words)

    return Row(number, name, f"refused, {code}, naming {' and '.join(words)}", check, why)


def offered(number: int, name: str, make: Maker, *hu: np.ndarray, code: str = "E_SERIES_AMBIGUOUS") -> Row:
    """A row of several series: a table with the exact flag, and each opens exactly by its number and by its id."""

    def check(folder: Path) -> None:
        path = make(folder)
        with pytest.raises(InputRefused, match=f"^{code}:") as refusal:
            read_ct(path)
        rows = [row for row in inventory(path) if row.modality == "CT"]
        assert "--series 0" in refusal.value.remedy
        assert all(row.identifier in refusal.value.what for row in rows)
        by_number, by_id = (
            [read_ct(path, choices=Choices(series=name)).hu for name in names]
            for names in ([str(row.index) for row in rows], [row.identifier for row in rows])
        )
        for opened in (by_number, by_id):
            assert all(any(np.array_equal(one, wanted) for one in opened) for wanted in hu)

    return Row(number, name, f"refused, {code}, with a table; --series N opens each exactly", check)


def resampled(number: int, name: str, code: str, make: Maker) -> Row:
    """A row of a sphere on slices that form no even, upright stack; after --resample it measures its diameter."""

    def check(folder: Path) -> None:
        ct = read_ct(make(folder), choices=RESAMPLE)
        assert code in {notice.code for notice in ct.warnings}
        assert shows_the_sphere(ct)

    return Row(number, name, f"opened, {code}; a sphere has its diameter, volume and place", check)


def _filled(ct: CTVolume) -> bool:
    """Slice 7 is the mean of its neighbours, every other one exact."""
    hu = BODY()
    mean = np.rint((hu[:, :, 6].astype(float) + hu[:, :, 8]) / 2)
    others = np.arange(20) != 7
    text = next(notice.text for notice in ct.warnings if notice.code == "W_GAPS_FILLED")
    places = "-244.0 mm" in text
    return bool(
        places and np.array_equal(ct.hu[:, :, 7], mean) and np.array_equal(ct.hu[:, :, others], hu[:, :, others])
    )


def _copied(files: list[Path]) -> None:
    (files[5].parent / "copy of a slice").write_bytes(files[5].read_bytes())


def _other_instance(slices: list) -> None:  # type: ignore[type-arg]
    copy = dicom_slices()[5]
    copy.SOPInstanceUID = "1.2.3"
    slices.append(copy)


def _another_at_the_same_place(slices: list) -> None:  # type: ignore[type-arg]
    other = dicom_slices(BODY() + np.int16(30))[4]
    other.SOPInstanceUID = "1.2.3"
    slices.append(other)


def _with(**tags: object) -> Change:
    """Add a slice with other tags to the series."""

    def change(slices: list) -> None:  # type: ignore[type-arg]
        other = dicom_slices()[:1]
        every(**tags)(other)
        slices.extend(other)

    return change


def _phases(shift_mm: float = 0.0, **second: object) -> Maker:
    """Two passes over the same positions, or some mm beside them, in one series, told apart by a tag."""

    def change(slices: list) -> None:  # type: ignore[type-arg]
        every(**second)(slices)
        shifted(lambda k: (0, 0, shift_mm))(slices)

    return series_of(more("phase", change, brighter=30, same_series=True))


def _at_one_place(slices: list) -> None:  # type: ignore[type-arg]
    for k, each in enumerate(slices):
        each.AcquisitionNumber, each.ImagePositionPatient = k + 1, [-120.0, -100.0, -250.0]


def _step_and_shoot(slices: list) -> None:  # type: ignore[type-arg]
    for k, each in enumerate(slices):
        each.AcquisitionNumber = 1 + k // 4


def _along(step_mm: float, tilt_degrees: float) -> Maker:
    """Slices of a gantry tilted about the left-right axis, whose table moves along the body."""
    turn = np.deg2rad(tilt_degrees)
    return sphere_series(
        [(-120.0, -115.0, -60.0 + step_mm * k) for k in range(30)],
        rows_along=(0.0, float(np.cos(turn)), float(np.sin(turn))),
    )


def _sliding(degrees: float) -> Maker:
    """Axial slices that slide backwards as they climb."""
    slope = float(np.tan(np.deg2rad(degrees)))
    return sphere_series([(-120.0, -115.0 + slope * (4.0 * k - 60), -60.0 + 4.0 * k) for k in range(34)])


def _uneven(small: float, large: float) -> Maker:
    """Slices at two distances."""
    heights = np.concatenate([[0.0], np.cumsum([small] * 16 + [large] * 14)])
    return sphere_series([(-120.0, -115.0, float(height) - 40) for height in heights])


def _wider(k: int) -> tuple[float, float, float]:
    return 0.0, 0.0, 3.1 * max(0, k - 9)


def _geometry_rows() -> tuple[Row, ...]:
    rows = []
    for keyword, values in (
        ("ImagePositionPatient", b"-120.0\\-100.0\\-276.0"),
        ("ImageOrientationPatient", b"1.0\\0.0\\0.0\\0.0\\1.0"),
        ("PixelSpacing", b"9.0\\10.0"),
    ):
        make = series_of(one(3, **{keyword: None}))
        rows.append(says(77, f"no {keyword}", "E_TAG", make, keyword, "file"))
        letters = b"abc".ljust(len(values))
        make = patched(values, letters, only=3)
        rows.append(says(77, f"a {keyword} of letters", "E_TAG", make, keyword, "file"))
        make = series_of(one(3, **{keyword: None}), one(3, **{keyword: ""}))
        rows.append(says(77, f"an empty {keyword}", "E_TAG", make, keyword, "file"))
    for name, spacing in (("of 0", [0, 0]), ("below 0", [9.0, -10.0]), ("of one number", [9.0])):
        rows.append(says(77, f"a PixelSpacing {name}", "E_TAG", series_of(every(PixelSpacing=spacing)), "PixelSpacing"))
    rows.append(
        refused(77, "a skewed orientation", "E_TAG", series_of(every(ImageOrientationPatient=[1, 0, 0, 1, 1, 0])))
    )
    rows.append(refused(77, "an orientation of 0", "E_TAG", series_of(every(ImageOrientationPatient=[0] * 6))))
    return tuple(rows)


ROWS: tuple[Row, ...] = (
    says(68, "a missing slice", "E_SLICES_MISSING", series_of(without(7)), "-244.0 mm", "--allow-gaps"),
    accepted(68, "a missing slice, --allow-gaps", series_of(without(7)), _filled, choices=FILL),
    warned(68, "every second slice gone", "W_SLICES_APART", series_of(*THIN, without(*ODD))),
    refused(68, "two neighbours missing, --allow-gaps", "E_SLICES_MISSING", series_of(without(7, 8)), choices=FILL),
    refused(
        68, "a quarter missing, --allow-gaps", "E_SLICES_MISSING", series_of(without(2, 5, 8, 11, 14)), choices=FILL
    ),
    refused(68, "a missing slice, --resample", "E_SLICES_MISSING", series_of(without(7)), choices=RESAMPLE),
    warned(69, "a file twice", "W_DUPLICATES_DROPPED", files_of(_copied), hu=BODY),
    warned(69, "a slice twice under another id", "W_DUPLICATES_DROPPED", series_of(_other_instance), hu=BODY),
    refused(70, "two slices at one place", "E_SERIES_AMBIGUOUS", series_of(_another_at_the_same_place)),
    offered(71, "two series", series_of(more("second", brighter=30)), BODY(), BODY() + np.int16(30)),
    accepted(71, "a series beside one of two images", series_of(more("short", without(*range(2, 20)))), same_patient),
    refused(
        71, "a series that is not there", "E_SERIES_AMBIGUOUS", series_of(more("second")), choices=Choices(series="7")
    ),
    refused(
        71, "two slices, chosen", "E_TOO_FEW_SLICES", series_of(without(*range(2, 20))), choices=Choices(series="0")
    ),
    refused(71, "one slice", "E_TOO_FEW_SLICES", file_of(lambda: dicom_bytes(dicom_slices()[0]))),
    warned(71, "bolus tracking beside a series", "W_OTHER_SLICES", series_of(more("bolus", _at_one_place)), hu=BODY),
    refused(71, "bolus tracking alone", "E_TOO_FEW_SLICES", series_of(_at_one_place)),
    offered(72, "two acquisitions in one series", _phases(AcquisitionNumber=2), BODY(), BODY() + np.int16(30)),
    offered(72, "two temporal positions", _phases(TemporalPositionIdentifier=2), BODY(), BODY() + np.int16(30)),
    *(
        offered(
            72, f"two acquisitions {shift} mm apart", _phases(shift, AcquisitionNumber=2), BODY(), BODY() + np.int16(30)
        )
        for shift in (0.05, 0.5, 4.0)
    ),
    accepted(72, "acquisitions one above the other", series_of(_step_and_shoot), same_patient),
    offered(72, "two times", _phases(AcquisitionTime="101500"), BODY(), BODY() + np.int16(30)),
    warned(73, "a scout", "W_SCOUT_DROPPED", series_of(_with(ImageType=["ORIGINAL", "PRIMARY", "LOCALIZER"])), hu=BODY),
    warned(
        73,
        "a scout without geometry",
        "W_SCOUT_DROPPED",
        series_of(_with(ImageType=["ORIGINAL", "PRIMARY", "LOCALIZER"], ImagePositionPatient=None, PixelSpacing=None)),
        hu=BODY,
    ),
    warned(
        73,
        "a scout that does not say so",
        "W_STRAY_SLICES",
        series_of(_with(ImageOrientationPatient=[1, 0, 0, 0, 0, -1], PixelSpacing=[1.0, 1.0])),
        hu=BODY,
    ),
    says(74, "a tilted gantry", "E_TILT", _along(4.0, 15), "15.0 degrees", "--resample"),
    says(74, "slices that slide", "E_TILT", _sliding(12), "12.0 degrees", "--resample"),
    says(74, "a tilt of one degree", "E_TILT", _sliding(1), "1.0 degrees", "--resample"),
    resampled(74, "a tilted gantry, --resample", "W_TILT_RESAMPLED", _along(4.0, 15)),
    resampled(74, "slices that slide, --resample", "W_TILT_RESAMPLED", _sliding(12)),
    refused(74, "one slice beside the others", "E_SPACING", series_of(shifted(lambda k: (0, 9.0 * (k == 7), 0)))),
    says(75, "spacing of 2.5 and 5 mm", "E_SPACING", _uneven(2.5, 5.0), "2.50 to 5.00 mm", "--resample"),
    resampled(75, "spacing of 2.5 and 5 mm, --resample", "W_RESAMPLED", _uneven(2.5, 5.0)),
    resampled(75, "spacing of 3 and 4 mm, --resample", "W_RESAMPLED", _uneven(3.0, 4.0)),
    refused(
        75,
        "distances of 8 and 11 mm, --resample",
        "E_SPACING",
        series_of(shifted(lambda k: (0, 0, 3.1 * max(0, k - 9)))),
        choices=RESAMPLE,
    ),
    accepted(
        76, "jitter of 0.5 %", series_of(shifted(lambda k: (0, 0, 0.02 * (-1) ** k * (0 < k < 19)))), same_patient
    ),
    *_geometry_rows(),
    warned(77, "a series 1 km from its origin", "W_ORIGIN_FAR", series_of(shifted(lambda k: (0, 0, 1e6))), hu=BODY),
    warned(
        78,
        "no rescale, values in HU",
        "W_RESCALE_MISSING",
        series_of(signed, every(**NO_RESCALE)),
        hu=BODY,
    ),
    refused(78, "no rescale, values not in HU", "E_HU", series_of(every(**NO_RESCALE))),
    warned(
        78,
        "no rescale, values not in HU, --fix-offset",
        "W_OFFSET_FIXED",
        series_of(every(**NO_RESCALE)),
        choices=Choices(fix_offset=True),
        hu=BODY,
    ),
    says(78, "no rescale in one slice", "E_TAG", series_of(one(3, RescaleSlope=None)), "RescaleSlope", "file"),
    refused(78, "a slope of letters", "E_TAG", patched(b"777", b"abc", every(RescaleSlope=777))),
    refused(78, "a slope of 0", "E_TAG", series_of(every(RescaleSlope=0))),
    refused(78, "an iodine map", "E_HU", series_of(every(RescaleType="MGML"))),
    *(
        accepted(78, f"a RescaleType of {name}", series_of(every(RescaleType=name)), same_patient)
        for name in ("Hounsfield", "Hounsfield Units", "Unspecified")
    ),
    accepted(79, "another slope and intercept in each slice", series_of(rescaled), same_patient),
    accepted(80, "MONOCHROME1", series_of(every(PhotometricInterpretation="MONOCHROME1")), same_patient),
    accepted(81, "high bits in unsigned numbers", series_of(with_high_bits), same_patient),
    accepted(81, "high bits in signed numbers", series_of(signed, with_high_bits), same_patient),
    *dicom_files.ROWS,
    *dicom_hostile.ROWS,
)
