"""What a file is, by its first bytes and not by its name."""

from __future__ import annotations

DICOM_PREAMBLE = 128
_BARE = (b"\2\0\0\0UL\4\0", *(bytes((8, 0, element, 0)) for element in (0x00, 0x01, 0x05, 0x08, 0x16, 0x18)))
"""The length of group 0002, or one of the elements of group 0008 that come first, with the low byte first."""
_SIGNATURES = (
    (b"\x1f\x8b", "gzip"),
    (b"PK\x03\x04", "a zip archive"),
    (b"PK\x05\x06", "a zip archive"),
    (b"\x89PNG", "a PNG image"),
    (b"\xff\xd8\xff", "a JPEG image"),
    (b"GIF8", "a GIF image"),
    (b"II*\0", "a TIFF image"),
    (b"MM\0*", "a TIFF image"),
    (b"BM", "a bitmap image"),
    (b"%PDF", "a PDF document"),
    (b"NRRD", "an NRRD volume"),
    (b"ObjectType", "a MetaImage header"),
    (b"\x89HDF", "an HDF5 file"),
    (b"\x93NUMPY", "a NumPy array"),
    (b"7z\xbc\xaf", "a 7-Zip archive"),
    (b"Rar!", "a RAR archive"),
    (b"BZh", "a bzip2 archive"),
    (b"\xfd7zXZ", "an xz archive"),
    (b"\x7fELF", "a program"),
    (b"MZ", "a program"),
    (b"MATLAB", "a MATLAB file"),
)


def is_zip(start: bytes) -> bool:
    """Whether the bytes begin a zip archive."""
    return start.startswith((b"PK\x03\x04", b"PK\x05\x06"))


def is_dicom(start: bytes) -> bool:
    """Whether the bytes begin a DICOM file: the mark after the preamble, or bare elements as old exports have them."""
    return start[DICOM_PREAMBLE : DICOM_PREAMBLE + 4] == b"DICM" or start.startswith(_BARE)


def kind_of(start: bytes) -> str:
    """Name what the first bytes of a file begin, in plain words with its article."""
    if is_dicom(start):
        return "a DICOM file"
    for signature, kind in _SIGNATURES:
        if start.startswith(signature):
            return kind
    if start[257:262] == b"ustar":
        return "a tar archive"
    if start.lstrip()[:5].lower() in (b"<html", b"<!doc"):
        return "a web page"
    printable = sum(32 <= byte < 127 or byte in (9, 10, 13) for byte in start)
    return "text" if start and printable > 0.9 * len(start) else "unknown"
