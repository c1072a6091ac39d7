"""Rows 1 to 25: files that are damaged, something else, dangerous, or merely named or placed in an unusual way."""

from __future__ import annotations

import gzip
import os
import struct
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO
from unittest.mock import patch

import pytest

from tests.catalogue.make_archives import holding
from tests.catalogue.make_bombs import bomb, claiming_bomb, empty_members, members_bomb, sparse
from tests.catalogue.make_files import (
    damaged,
    endless_link,
    extension_of,
    fifo,
    folder_with_a_link_out,
    linked,
    pair,
    unix_socket,
)
from tests.catalogue.make_nifti import file_of, header_of, is_the_body, refused_within
from tests.catalogue.row import Maker, Row, accepted, refused, warned
from tests.vision.small_files import body_hu, dicom_slices, nifti_bytes, nifti_gz, write_series
from vision.errors import InputRefused
from vision.io import load
from vision.io.choices import ASK
from vision.io.files.entries import file_entry
from vision.io.load import read_ct
from vision.io.refusal import LIMITS

ODD_NAMES = (
    "ct\nnew line.nii.gz",
    "n" * 248 + ".nii.gz",
    "\N{SKULL} \N{LEFT-POINTING MAGNIFYING GLASS}.nii.gz",
    "-rf",
    "; rm -rf ~ | $(reboot) `id` & '\" *.nii",
    "<img src=x onerror=alert(1)>.nii.gz",
    "%00..%2f..%2fetc%2fpasswd",
    ".. .nii",
    "ct.nii.gz\u202egz.iin",
)
NOBODY = 65534


def named_kind(name: str, content: bytes, kind: str) -> Row:
    """A file of another type: the refusal says which."""

    def check(folder: Path) -> None:
        with pytest.raises(InputRefused, match=f"^E_TYPE: .*its content is {kind}"):
            read_ct(file_of(lambda: content)(folder))

    return Row(6, name, "refused, E_TYPE, naming the type", check)


def fifo_in_place_of_a_file(folder: Path) -> None:
    """What was listed as a file is a pipe when it is opened."""
    path = file_of(nifti_gz)(folder)
    entry = file_entry(path)
    path.unlink()
    os.mkfifo(path)
    started = time.perf_counter()
    with pytest.raises(InputRefused, match=r"^E_NOT_REGULAR:"), entry.stream():
        pytest.fail("the pipe was opened")
    assert time.perf_counter() - started < 1


def forbidden(folder: Path) -> None:
    """Files and folders whose owner forbids to read them; checked as somebody who is not root."""
    with tempfile.TemporaryDirectory() as open_folder:
        place = Path(open_folder)
        place.chmod(0o755)
        for name in ("closed", "with a closed file", "with a closed folder/closed"):
            (place / name).mkdir(parents=True)
        closed = [
            file_of(nifti_gz)(place),
            place / "closed",
            file_of(nifti_gz)(place / "with a closed file"),
            place / "with a closed folder" / "closed",
        ]
        user = os.geteuid()
        for path in closed:
            path.chmod(0o000)
        try:
            if user == 0:
                os.seteuid(NOBODY)
            for path in (*closed[:2], closed[2].parent, closed[3].parent):
                with pytest.raises(InputRefused, match=r"^E_PERM:"):
                    read_ct(path)
        finally:
            os.seteuid(user)
            for path in closed:
                path.chmod(0o700)


def odd_names(folder: Path) -> None:
    for name in ODD_NAMES:
        assert is_the_body(read_ct(file_of(nifti_gz, name)(folder)))


def changing(make: Maker, change: Callable[[Path], object]) -> Callable[[Path], None]:
    """Change an input between its listing and its reading, as one who is still writing it does."""

    def check(folder: Path) -> None:
        path = make(folder)
        listed = load._contents

        def then_changed(*arguments: object) -> object:
            contents = listed(*arguments)  # type: ignore[arg-type]
            change(path)
            return contents

        with patch.object(load, "_contents", then_changed), pytest.raises(InputRefused, match=r"^E_CHANGED:"):
            load.read_ct(path, choices=ASK, limits=LIMITS)

    return check


def growing(folder: Path) -> None:
    """The file changes while it is open: whatever was read of it does not count."""
    path = file_of(nifti_gz)(folder)
    with pytest.raises(InputRefused, match=r"^E_CHANGED:"), file_entry(path).stream() as file:
        read_while_written(file, path)


def read_while_written(file: BinaryIO, path: Path) -> None:
    file.read(100)
    append(path)
    raise EOFError


def append(path: Path) -> None:
    with path.open("ab") as file:
        file.write(b"more")


def rewrite(path: Path) -> None:
    """The same size, other bytes, a later time."""
    content = path.read_bytes()
    path.write_bytes(content[:-1] + b"x")
    os.utime(path, ns=(0, path.stat().st_mtime_ns + 1))


ROWS: tuple[Row, ...] = (
    refused(1, "an empty file", "E_EMPTY", file_of(lambda: b"")),
    refused(1, "an empty file in a zip", "E_EMPTY", holding("ct.nii", lambda: b"")),
    refused(2, "a gzip file that is cut", "E_TRUNCATED", file_of(lambda: nifti_gz()[:-2000])),
    refused(2, "a gzip file without its last byte", "E_TRUNCATED", file_of(lambda: nifti_gz()[:-1])),
    refused(2, "a whole gzip of a cut file", "E_TRUNCATED", file_of(lambda: gzip.compress(nifti_bytes()[:-900]))),
    refused(3, "a wrong checksum", "E_CORRUPT", file_of(damaged(-8))),
    refused(3, "a wrong length after the checksum", "E_CORRUPT", file_of(damaged(-4))),
    refused(4, "a flipped byte in the stream", "E_CORRUPT", file_of(damaged(0))),
    refused(5, "a text", "E_TYPE", file_of(lambda: b"notes about CANARY, who has no CT\n" * 20)),
    named_kind("a PNG", b"\x89PNG\r\n\x1a\n" + bytes(500), "a PNG image"),
    named_kind("a PDF in gzip", gzip.compress(b"%PDF-1.7 " + bytes(500)), "a PDF document"),
    named_kind("a tar", bytes(257) + b"ustar" + bytes(300), "a tar archive"),
    named_kind("a web page", b"<!DOCTYPE html><html>" + b" " * 400, "a web page"),
    named_kind("a gzip in gzip", gzip.compress(nifti_gz()), "gzip"),
    refused(7, "a header alone", "E_TRUNCATED", file_of(lambda: nifti_bytes()[:352])),
    refused(7, "half a header", "E_TRUNCATED", file_of(lambda: nifti_bytes()[:100])),
    refused(8, "a .nii that is cut", "E_TRUNCATED", file_of(lambda: nifti_bytes()[:9000], "ct.nii")),
    refused(8, "a .nii without its last byte", "E_TRUNCATED", file_of(lambda: nifti_bytes()[:-1], "ct.nii")),
    warned(9, "garbage after gzip", "W_TRAILING_BYTES", file_of(lambda: nifti_gz() + b"garbage"), hu=body_hu),
    warned(9, "garbage after .nii", "W_TRAILING_BYTES", file_of(lambda: nifti_bytes() + b"garbage"), hu=body_hu),
    accepted(9, "zeros after gzip", file_of(lambda: nifti_gz() + bytes(64)), is_the_body),
    accepted(
        10,
        "a gzip of several members",
        file_of(lambda: gzip.compress(nifti_bytes()[:5000]) + gzip.compress(b"") + gzip.compress(nifti_bytes()[5000:])),
        is_the_body,
    ),
    accepted(11, "big-endian", file_of(lambda: nifti_gz(big_endian=True)), is_the_body),
    accepted(12, "NIfTI-2", file_of(lambda: nifti_gz(version=2)), is_the_body),
    accepted(12, "NIfTI-2, big-endian", file_of(lambda: nifti_gz(version=2, big_endian=True)), is_the_body),
    refused(13, "a pair without .img", "E_PAIR", header_of(magic=b"ni1")),
    refused(13, "a pair with its .img", "E_PAIR", pair),
    refused(14, "Analyze 7.5", "E_NO_ORIENTATION", header_of(magic=b"")),
    refused(15, "a wrong magic", "E_HDR", header_of(magic=b"n+9")),
    refused(
        15,
        "NIfTI-2 sent as text",
        "E_HDR",
        file_of(lambda: nifti_bytes(version=2).replace(b"\r\n\x1a", b"\n\n\x1a", 1)),
    ),
    refused(16, "a header of 349 bytes", "E_TYPE", file_of(lambda: struct.pack("<i", 349) + nifti_bytes()[4:])),
    refused(17, "voxels before the header", "E_HDR", header_of(vox_offset=-4.0)),
    refused(17, "voxels at NaN", "E_HDR", header_of(vox_offset=float("nan"))),
    refused(17, "voxels at 1e30", "E_HDR", header_of(vox_offset=1e30)),
    refused(17, "voxels at half a byte", "E_HDR", header_of(vox_offset=352.5)),
    refused(
        17,
        "voxels past the end",
        "E_TRUNCATED",
        header_of(vox_offset=64000.0),
        why="Of a stream the end is known only after reading; the voxels are missing, whichever of both is wrong.",
    ),
    accepted(18, "an extension of 32 bytes, never read", extension_of(32), is_the_body),
    refused(18, "an extension of a gibibyte", "E_HDR", extension_of(2**30)),
    refused(18, "an extension of -8 bytes", "E_HDR", extension_of(-8)),
    refused_within(3, 19, "4 GiB behind a small volume", "E_SIZE", bomb),
    refused_within(3, 19, "4 GiB in 4096 gzip members", "E_SIZE", members_bomb),
    refused_within(3, 19, "4 GiB as the dimensions say", "E_SIZE", claiming_bomb(8192)),
    refused_within(3, 19, "1 GiB as the dimensions say", "E_SIZE", claiming_bomb(2048)),
    refused_within(3, 19, "a million empty gzip members", "E_SIZE", empty_members),
    refused_within(3, 20, "2 GiB behind a small volume", "E_SIZE", sparse),
    refused_within(1, 21, "/dev/zero", "E_NOT_REGULAR", lambda folder: Path("/dev/zero")),
    refused_within(1, 21, "a pipe", "E_NOT_REGULAR", fifo),
    refused_within(1, 21, "a socket", "E_NOT_REGULAR", unix_socket),
    Row(21, "a pipe in place of a listed file", "refused, E_NOT_REGULAR, within 1 s", fifo_in_place_of_a_file),
    refused(
        21,
        "an empty folder",
        "E_NO_IMAGES",
        lambda folder: folder,
        why="A folder is a usual way to give a DICOM series; one without images is told as such.",
    ),
    refused(21, "nothing", "E_NOT_FOUND", lambda folder: folder / "missing.nii.gz"),
    refused(21, "a name with a null", "E_NOT_FOUND", lambda folder: folder / "a\0b"),
    accepted(
        22,
        "a link that a person names",
        linked,
        is_the_body,
        why="Who names a link on the own machine means its target; the server takes uploads only, never a path.",
    ),
    refused(22, "a link out of a searched folder", "E_NO_IMAGES", folder_with_a_link_out),
    refused(22, "a link to itself", "E_NOT_FOUND", endless_link),
    Row(23, "no permission for a file, a folder or a file in it", "refused, E_PERM", forbidden),
    Row(
        24,
        "names with a line break, 255 characters, emoji, a dash, shell and HTML",
        "opened exactly",
        odd_names,
        "No file system of Linux holds 300 characters; 255 is its longest name.",
    ),
    Row(25, "a file written while it is read", "refused, E_CHANGED", growing),
    Row(25, "a file written before it is read", "refused, E_CHANGED", changing(file_of(nifti_gz), append)),
    Row(25, "a file of the same size written", "refused, E_CHANGED", changing(file_of(nifti_gz), rewrite)),
    Row(
        25,
        "one slice of a folder written",
        "refused, E_CHANGED",
        changing(
            lambda folder: write_series(folder / "series", dicom_slices()),
            lambda series: rewrite(sorted(series.iterdir())[7]),
        ),
    ),
)
