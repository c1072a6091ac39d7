"""Rows 26 to 35: zip archives that reach out, unpack to too much, lie about themselves, or hold more than the CT."""

from __future__ import annotations

import zipfile

from tests.catalogue.make_archives import (
    announce,
    changed,
    declare,
    encrypt,
    entries,
    good_zip64,
    holding,
    link,
    series,
    series_with_junk,
    spoil,
    twice,
    zip_of,
)
from tests.catalogue.make_bombs import bzip2_bomb, gzip_bomb_in_zip, lying_zip_bomb, zip_bomb
from tests.catalogue.make_nifti import file_of, is_the_body, refused_within
from tests.catalogue.row import Row, accepted, refused
from tests.vision.small_files import nifti_bytes, nifti_gz

IGNORED = "What is no image is left out by its content, junk of macOS and Windows by its name."

ROWS: tuple[Row, ...] = (
    refused(26, "a path out of the archive", "E_ARCHIVE_PATH", holding("../ct.nii")),
    refused(26, "a path out of it by the middle", "E_ARCHIVE_PATH", holding("a/../../ct.nii")),
    refused(26, "a path out of it with backslashes", "E_ARCHIVE_PATH", holding("..\\ct.nii")),
    refused(26, "an absolute path", "E_ARCHIVE_PATH", holding("/etc/ct.nii")),
    refused(26, "a path on another drive", "E_ARCHIVE_PATH", holding("C:/ct.nii")),
    refused(27, "a link", "E_ARCHIVE_PATH", zip_of(link)),
    refused_within(3, 28, "300 MiB in 300 kB", "E_ARCHIVE_SIZE", zip_bomb),
    refused_within(3, 28, "300 MiB that declare 25 kB", "E_CORRUPT", lying_zip_bomb),
    refused_within(
        3,
        28,
        "150 MiB by bzip2",
        "E_ARCHIVE_METHOD",
        bzip2_bomb,
        why="Blocks of bzip2 and LZMA cannot be unpacked in part, and no DICOM program packs by them.",
    ),
    refused_within(3, 28, "a gzip bomb in a zip", "E_SIZE", gzip_bomb_in_zip),
    refused(29, "a zip in a zip", "E_ARCHIVE_NESTED", holding("a.zip", lambda: b"PK\5\6" + bytes(18))),
    refused(29, "a tar in a zip", "E_ARCHIVE_NESTED", holding("a.TAR.GZ", nifti_gz)),
    refused(29, "a zip in a zip, called a CT", "E_TYPE", holding("ct.nii", lambda: b"PK\5\6" + bytes(396))),
    refused_within(
        1,
        30,
        "an end record of a million files",
        "E_ARCHIVE_COUNT",
        file_of(lambda: entries(3, announced=1_000_000, zip64=True)),
    ),
    refused_within(3, 30, "70,000 files", "E_ARCHIVE_COUNT", file_of(lambda: entries(70_000, zip64=True))),
    refused_within(
        3,
        30,
        "70,000 files, counted round to 4,464",
        "E_ARCHIVE_COUNT",
        file_of(lambda: entries(70_000, announced=70_000 % 65_536)),
    ),
    refused_within(
        3, 30, "70,000 files that announce 3", "E_ARCHIVE_COUNT", file_of(lambda: entries(70_000, announced=3))
    ),
    accepted(30, "a zip64 end record of one file", good_zip64, is_the_body),
    refused(31, "a declared size too small", "E_CORRUPT", changed(holding("ct.nii"), declare(-100))),
    refused(31, "a declared size too large", "E_CORRUPT", changed(holding("ct.nii"), declare(100))),
    refused(31, "a slice declared too small", "E_CORRUPT", changed(zip_of(series), declare(-2))),
    refused(31, "a slice declared too large", "E_CORRUPT", changed(zip_of(series), declare(2))),
    refused(31, "another number of files announced", "E_CORRUPT", changed(holding("ct.nii"), announce(2))),
    refused(
        31, "a wrong checksum", "E_CORRUPT", changed(zip_of(lambda z: z.writestr("ct.nii", nifti_bytes()), 0), spoil)
    ),
    refused(31, "a cut archive", "E_TRUNCATED", file_of(lambda: b"PK\3\4" + bytes(900))),
    refused(32, "an encrypted archive", "E_ARCHIVE_ENCRYPTED", changed(holding("ct.nii"), encrypt)),
    refused(33, "the same name twice", "E_ARCHIVE_PATH", zip_of(twice)),
    refused(34, "notes alone", "E_NO_IMAGES", holding("README.txt", lambda: b"notes")),
    refused(34, "nothing", "E_NO_IMAGES", zip_of(lambda archive: None)),
    accepted(35, "a DICOM series with junk", zip_of(series_with_junk), is_the_body, why=IGNORED),
    accepted(35, "a DICOM series, stored", zip_of(series, zipfile.ZIP_STORED), is_the_body),
    accepted(35, "one NIfTI", holding("case/ct.nii.gz", nifti_gz), is_the_body),
)
