"""Rows 89 to 94: DICOM files that want to hurt or to talk."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from pydicom.dataset import FileDataset
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGLosslessSV1,
    JPEGLSLossless,
    RLELossless,
)

from tests.catalogue.make_codestreams import (
    ITEM,
    UNDEFINED,
    before_pixels,
    compressed,
    deep,
    deflate_bomb,
    element,
    empty_items,
    with_huge_codestream,
    with_split_frames,
)
from tests.catalogue.make_dicom import (
    cut,
    dataset_file,
    enhanced,
    every,
    file_of,
    files_of,
    same_patient,
    series_of,
    syntax,
)
from tests.catalogue.make_words import (
    CHARACTER_SETS,
    changes_nothing,
    in_character_set,
    private_blocks,
    says_nothing,
)
from tests.catalogue.row import Maker, Row, accepted, refused
from vision.errors import InputRefused
from vision.io.load import read_ct

SLOWEST_S, LARGEST_MIB = 3.0, 200.0
HUGE = {"Rows": 4096, "Columns": 4096, "PixelSpacing": [0.2, 0.2]}
DEFLATED = syntax(DeflatedExplicitVRLittleEndian)
# ru_maxrss would count the process that started this one; the kernel's high-water mark begins anew, where there is one.
MEASURED = """
import re, sys, time
from pathlib import Path
from vision.errors import InputRefused
from vision.io.load import read_ct
start = time.perf_counter()
try:
    read_ct(sys.argv[1])
except InputRefused as refusal:
    code = refusal.code
seconds, status = time.perf_counter() - start, Path("/proc/self/status")
peak = int(re.search(r"VmHWM:\\s+(\\d+) kB", status.read_text())[1]) if status.exists() else 0
print(code, seconds, peak / 1024)
"""


def cheaply(number: int, name: str, code: str, make: Maker) -> Row:
    """A row that is refused within 3 s and 200 MiB, all of the process counted."""

    def check(folder: Path) -> None:
        command = [sys.executable, "-c", MEASURED, str(make(folder))]
        found, seconds, mib = subprocess.run(command, capture_output=True, check=True, text=True).stdout.split()
        assert found == code
        assert float(seconds) < SLOWEST_S
        assert float(mib) < LARGEST_MIB

    return Row(number, name, f"refused, {code}, within {SLOWEST_S:g} s and {LARGEST_MIB:g} MiB", check)


def bomb(name: str, where: Callable[[bytes, bytes, bytes], tuple[bytes, bytes]]) -> Row:
    """A row of 2 MB that inflate to 2 GiB."""
    return cheaply(89, name, "E_SIZE", file_of(lambda: deflate_bomb(where)))


def hostile(name: str, code: str, extra: Callable[[], bytes]) -> Row:
    """A row of a series one file of which holds hostile elements before its pixels."""

    def check(folder: Path) -> None:
        path = files_of(lambda files: files[3].write_bytes(before_pixels(files[3].read_bytes(), extra())))(folder)
        start = time.perf_counter()
        with pytest.raises(InputRefused, match=f"^{code}:"):
            read_ct(path)
        assert time.perf_counter() - start < 2

    return Row(90, name, f"refused, {code}, within 2 s", check)


def _damage(files: list[Path]) -> None:
    content = bytearray(files[3].read_bytes())
    content[400:480] = b"\xff" * 80
    files[3].write_bytes(bytes(content))


def _polyglot(slices: list[FileDataset]) -> None:
    for each in slices:
        each.preamble = b"MZ" + bytes(126)


def _of_frames(claimed: int) -> FileDataset:
    whole = enhanced()
    whole.NumberOfFrames = claimed
    return whole


def _split(offsets: range) -> FileDataset:
    whole = enhanced()
    whole.compress(RLELossless)
    return with_split_frames(whole, offsets)


def _longer_fragment(files: list[Path]) -> None:
    content = files[3].read_bytes()
    at = content.rindex(ITEM) + 4
    files[3].write_bytes(content[:at] + b"\xf0\xff\xff\xff" + content[at + 4 :])


def _huge_codestream(uid: str) -> Maker:
    return series_of(with_huge_codestream(uid), shape=(64, 64, 20))


ROWS: tuple[Row, ...] = (
    accepted(89, "deflated slices", series_of(DEFLATED), same_patient),
    bomb("a deflate bomb in the pixels", lambda head, pixels, value: (head + pixels, value)),
    bomb("a deflate bomb behind the pixels", lambda head, pixels, value: (head + pixels + value, b"")),
    bomb(
        "a deflate bomb in the header",
        lambda head, pixels, value: (head + element(9, 0x1001, b"OB", b"", 1 << 31), pixels + value),
    ),
    refused(89, "a deflate stream that is damaged", "E_CORRUPT", files_of(_damage, DEFLATED)),
    refused(89, "a deflate stream that is cut", "E_TRUNCATED", cut(0.8, DEFLATED)),
    hostile("sequences 5000 deep", "E_CORRUPT", lambda: deep(5000, closed=True)),
    hostile("sequences 5000 deep without an end", "E_CORRUPT", lambda: deep(5000, closed=False)),
    hostile("a million empty items", "E_CORRUPT", lambda: empty_items(1_000_000, ends=False)),
    hostile("a million empty items of known length", "E_CORRUPT", lambda: empty_items(1_000_000, ends=True)),
    hostile("a length of 0xFFFFFFF0", "E_TRUNCATED", lambda: element(9, 0x1001, b"OB", b"", 0xFFFFFFF0)),
    hostile("an undefined length without an end", "E_TRUNCATED", lambda: element(9, 0x1001, b"OB", b"", UNDEFINED)),
    hostile("a sequence without an end", "E_TRUNCATED", lambda: element(8, 0x1140, b"SQ", b"", UNDEFINED)),
    cheaply(90, "slices that claim 4096 x 4096", "E_TRUNCATED", series_of(every(**HUGE))),
    cheaply(
        90,
        "compressed slices that claim 4096 x 4096",
        "E_CORRUPT",
        series_of(compressed(JPEGLSLossless), every(**HUGE)),
    ),
    *(
        cheaply(90, f"a codestream of 60000 x 60000, {name}", "E_CORRUPT", _huge_codestream(uid))
        for name, uid in (("JPEG", JPEGLosslessSV1), ("JPEG-LS", JPEGLSLossless), ("JPEG 2000", JPEG2000Lossless))
    ),
    refused(90, "a million frames", "E_TAG", dataset_file(lambda: _of_frames(1_000_000))),
    refused(90, "offsets within fragments", "E_CORRUPT", dataset_file(lambda: _split(range(0, 20)))),
    refused(90, "offsets beyond the file", "E_CORRUPT", dataset_file(lambda: _split(range(0, 20 << 26, 1 << 26)))),
    refused(90, "a fragment longer than the file", "E_TRUNCATED", files_of(_longer_fragment, compressed(RLELossless))),
    accepted(91, "a program's mark in the preamble", series_of(_polyglot), same_patient),
    accepted(92, "private elements", series_of(private_blocks), same_patient),
    *(
        accepted(
            92,
            f"a name in the character set {name}, variant {number}",
            series_of(in_character_set(name, text)),
            same_patient,
        )
        for number, (name, text) in enumerate(CHARACTER_SETS, start=1)
    ),
    Row(93, "a name in every text", "opened, or refused, without a trace of it", says_nothing),
    Row(94, "orders in every text", "described as without them", changes_nothing),
)
