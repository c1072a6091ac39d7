"""Seeded mutants of headers: small files as programs write them, with a few bytes or one field made wrong."""

from __future__ import annotations

import gzip
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from nibabel import nifti1, nifti2

from tests.vision.small_files import body_hu, dicom_bytes, dicom_slices, nifti_bytes
from vision.io.nifti.oddities import QFORM, SFORM

FIELD_SHARE = 0.25
"""Of the mutants, those with one field made wrong; the others have 1 to 4 random bytes."""
EXTENSION_MARK = 4
PREAMBLE = 128
PIXELS, PIXELS_START = b"\xe0\x7f\x10\0", 12
LONG = ("OB", "OW", "OF", "SQ", "UT", "UN", "UC", "UR")
"""Value representations with a length of four bytes."""
SHAPE, SLICES = (36, 30, 16), 5
SPACING_MM = 9.0
ORIGIN_MM = (113.7, 96.3, -412.5)
ODD_NUMBERS = (0.0, 1.0, -1.0, 2.0, 1e-3, 1e4, 1e30, -1e30, float("nan"), float("inf"), 0.5, 3.0, 127.0, 255.0, 32767.0)
ODD_TEXTS = ("", "0", "-1", "1", "nan", "inf", "1e30", "abc", "1\\2\\3", "99999999999999999999", "\0", "x" * 70, "CT")


@dataclass(frozen=True)
class Base:
    """A good NIfTI file, not yet packed: how its orientation is given, its bytes, the size of its header."""

    name: str
    content: bytes
    header: np.dtype
    zipped: bool

    def packed(self, content: bytes) -> bytes:
        """A mutant of the content as the file would be."""
        return gzip.compress(content, 1) if self.zipped else content


def nifti_bases() -> list[Base]:
    """Each way to give an orientation, in both versions, byte orders and packings."""
    affine = np.diag([-SPACING_MM, -SPACING_MM, 8.0, 1.0])
    affine[:3, 3] = ORIGIN_MM
    # An sform alone is what nibabel writes by itself: the qform's numbers stay, its code is 0. Other programs leave
    # blank what is not used.
    styles: dict[str, dict[str, Any]] = {
        "qform and sform": {},
        "sform only": {"qform_code": 0},
        "sform only, qform blank": {"qform_code": 0, **dict.fromkeys(QFORM, 0)},
        "qform only, sform blank": {"sform_code": 0, **dict.fromkeys(SFORM, 0)},
    }
    bases = []
    for name, fields in styles.items():
        for version, dtype in ((1, nifti1.header_dtype), (2, nifti2.header_dtype)):
            for order in "<>":
                plain = nifti_bytes(body_hu(SHAPE), affine, version=version, big_endian=order == ">")
                header = np.frombuffer(plain[: dtype.itemsize], dtype.newbyteorder(order))[0].copy()
                for field, value in fields.items():
                    header[field] = value
                content = header.tobytes() + plain[dtype.itemsize :]
                bases += [Base(name, content, dtype.newbyteorder(order), zipped) for zipped in (False, True)]
    return bases


def nifti_mutants(count: int, seed: int) -> Iterator[tuple[Base, bytes]]:
    """`count` mutants, each with the file that it was made of; the bases take turns."""
    rng = np.random.default_rng(seed)
    bases = nifti_bases()
    for number in range(count):
        base = bases[number % len(bases)]
        if rng.random() < FIELD_SHARE:
            yield base, base.packed(_with_odd_field(base, rng))
        else:
            yield base, base.packed(_with_odd_bytes(base.content, 0, base.header.itemsize + EXTENSION_MARK, rng))


def dicom_series() -> list[bytes]:
    """A good series of five slices."""
    return [dicom_bytes(one) for one in dicom_slices(body_hu(SHAPE)[:, :, 4 : 4 + SLICES])]


def dicom_mutants(count: int, seed: int) -> Iterator[tuple[int, bytes]]:
    """`count` mutants of a slice's header, each with the number of the slice in `dicom_series`."""
    rng = np.random.default_rng(seed)
    series = [(content, list(_elements(content))) for content in dicom_series()]
    for number in range(count):
        victim = number % SLICES
        content, elements = series[victim]
        if rng.random() < FIELD_SHARE:
            yield victim, _with_odd_element(content, elements[int(rng.integers(len(elements)))], rng)
        else:
            yield victim, _with_odd_bytes(content, PREAMBLE, elements[-1].stop + PIXELS_START, rng)


def _with_odd_bytes(content: bytes, first: int, last: int, rng: np.random.Generator) -> bytes:
    mutant = bytearray(content)
    for at in rng.integers(first, last, rng.integers(1, 5)):
        mutant[at] = rng.integers(0, 256)
    return bytes(mutant)


def _with_odd_field(base: Base, rng: np.random.Generator) -> bytes:
    header = np.frombuffer(base.content[: base.header.itemsize], base.header).copy()
    name = str(rng.choice(base.header.names))
    values = header[name].reshape(-1)
    at = int(rng.integers(values.size))
    if values.dtype.kind == "S":
        values[at] = rng.bytes(values.dtype.itemsize)
    else:
        with np.errstate(all="ignore"):
            values[at] = _odd_number(float(values[at]), values.dtype, rng)
    return header.tobytes() + base.content[base.header.itemsize :]


def _odd_number(value: float, dtype: np.dtype, rng: np.random.Generator) -> Any:
    changes: tuple[Callable[[], float], ...] = (
        lambda: -value,
        lambda: value + 1,
        lambda: value - 1,
        lambda: value * 2,
        lambda: value / 2,
        lambda: value * 1.001,
        lambda: value * 10,
        lambda: value / 1000,
        lambda: float(rng.choice(ODD_NUMBERS)),
        lambda: float(rng.choice(ODD_NUMBERS)),
        lambda: float(rng.normal(0, 300)),
    )
    odd = changes[int(rng.integers(len(changes)))]()
    if dtype.kind == "f":
        return odd
    limits = np.iinfo(dtype)
    return min(max(int(odd) if np.isfinite(odd) else 0, int(limits.min)), int(limits.max))


@dataclass(frozen=True)
class Element:
    """Where an element of an explicit little-endian file lies: its first byte, its value, the byte after it."""

    start: int
    value: int
    stop: int
    representation: str


def _elements(content: bytes) -> Iterator[Element]:
    """The elements before the pixels."""
    at = PREAMBLE + len(b"DICM")
    while content[at : at + 4] != PIXELS:
        representation = content[at + 4 : at + 6].decode()
        long = representation in LONG
        value = at + (12 if long else 8)
        stop = value + int.from_bytes(content[at + 8 : value] if long else content[at + 6 : value], "little")
        yield Element(at, value, stop, representation)
        at = stop


def _with_odd_element(content: bytes, element: Element, rng: np.random.Generator) -> bytes:
    """One element holds another text, number or count of values, or is left out."""
    value = content[element.value : element.stop]
    kind = element.representation
    if rng.random() < 0.1:
        return content[: element.start] + content[element.stop :]
    if kind in ("DS", "IS") and rng.random() < 0.6:
        numbers = [float(number) for number in value.decode().split("\\")]
        at = int(rng.integers(len(numbers)))
        numbers[at] = _odd_number(numbers[at], np.dtype(float), rng)
        odd = "\\".join(f"{number:.10g}" for number in numbers).encode()
    elif kind in ("US", "UL"):
        odd = rng.bytes(len(value))
    else:
        odd = str(rng.choice(ODD_TEXTS)).encode()
    odd += b" " * (len(odd) % 2)
    length = len(odd).to_bytes(4 if kind in LONG else 2, "little")
    return content[: element.value - len(length)] + length + odd + content[element.stop :]
