"""Header fields that hold what no program writes there: the sign of a damaged file whose other fields still look well.

A CT is three-dimensional and has no time, no intent and no slice timing, so most of a NIfTI header is zero or text.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from vision.errors import InputRefused
from vision.io.nifti.orientation import EXACT_MM, Fields, Header

TEXTS = ("data_type", "db_name", "descrip", "aux_file", "intent_name", "unused_str")
SFORM = ("srow_x", "srow_y", "srow_z")
QFORM = ("quatern_b", "quatern_c", "quatern_d", "qoffset_x", "qoffset_y", "qoffset_z")
XFORM_CODES = range(6)
INTENTS = (0, *range(2, 25), *range(1001, 1012), *range(2001, 2019))
TIME_UNITS = (0, 8, 16, 24, 32, 40, 48)
EXTENTS = (0, 16384)
"""SPM writes 16384, as Analyze wanted it; all others 0."""
LARGEST_VALUE = 1e5


def odd_fields(header: Header) -> list[str]:
    """The names of the fields that hold what no program writes there."""
    return [*_odd_texts(header.fields), *_odd_numbers(header.fields), *_odd_geometry(header)]


def _odd_texts(fields: Fields) -> Iterator[str]:
    """Text is printable and padded with zeros to its end."""
    for name in TEXTS:
        text = fields[name].item() if name in fields else b""
        if any(byte < 32 or byte == 127 for byte in text):
            yield name
    if "regular" in fields and fields["regular"].item() not in (b"", b"r"):
        yield "regular"


def _odd_numbers(fields: Fields) -> Iterator[str]:
    def number(name: str) -> float:
        return float(fields[name]) if name in fields else 0.0

    dim, pixdim = fields["dim"], fields["pixdim"]
    rank = int(dim[0])
    if rank > 4 or any(int(n) not in (0, 1) for n in dim[rank + 1 :]):
        yield "dim"
    timed = rank > 3 and int(dim[4]) > 1
    steps = [float(step) for step in (pixdim[5:] if rank > 3 else pixdim[4:])]
    if float(pixdim[0]) not in (-1.0, 0.0, 1.0) or any(step not in (0.0, 1.0) for step in steps):
        yield "pixdim"
    if int(number("xyzt_units")) & ~7 not in TIME_UNITS:
        yield "xyzt_units"
    if any(int(number(code)) not in XFORM_CODES for code in ("qform_code", "sform_code")):
        yield "qform_code or sform_code"
    intent = int(number("intent_code"))
    if intent not in INTENTS or (intent == 0 and any(number(f"intent_p{place}") != 0 for place in (1, 2, 3))):
        yield "intent_code to intent_p3"
    low, high = number("cal_min"), number("cal_max")
    if not -LARGEST_VALUE < low <= high < LARGEST_VALUE and (low, high) != (0, 0):
        yield "cal_min or cal_max"
    if not timed and (number("toffset") != 0 or number("slice_duration") != 0 or number("slice_code") != 0):
        yield "toffset or the slice timing"
    if not 0 <= number("slice_start") <= max(number("slice_end"), 0) < max(dim[1:4]):
        yield "slice_start or slice_end"
    if number("extents") not in EXTENTS or number("session_error") != 0:
        yield "extents or session_error"
    if number("glmin") > number("glmax") or max(abs(number("glmin")), abs(number("glmax"))) > LARGEST_VALUE:
        yield "glmin or glmax"
    axes = int(number("dim_info"))
    named = [axis for axis in (axes & 3, axes >> 2 & 3, axes >> 4 & 3) if axis]
    if axes >> 6 or len(set(named)) < len(named):
        yield "dim_info"


def _odd_geometry(header: Header) -> Iterator[str]:
    """A form without a code is not used, but most programs fill it with the same geometry as the other."""
    if header.has_sform == header.has_qform or not header.steps_valid:
        return
    unused = SFORM if header.has_qform else QFORM
    if not any(np.any(header.fields[name] != 0) for name in unused):
        return
    try:
        apart = header.qform_apart(header.sform())
    except InputRefused:
        apart = np.inf
    if apart > EXACT_MM:
        yield f"{unused[0]} to {unused[-1]}"
