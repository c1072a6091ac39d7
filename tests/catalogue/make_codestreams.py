"""Makers of compressed DICOM, and of bytes that no honest program writes."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Callable, Sequence

import numpy as np
from PIL import Image
from pydicom.dataset import FileDataset
from pydicom.encaps import encapsulate, generate_frames
from pydicom.uid import UID, JPEGBaseline8Bit, JPEGLosslessSV1

from tests.catalogue.make_dicom import Change
from tests.vision.small_files import body_hu, dicom_bytes, dicom_slices

PIXEL_DATA = b"\xe0\x7f\x10\x00"
ITEM, ITEM_END, SEQUENCE_END = (struct.pack("<HH", 0xFFFE, number) for number in (0xE000, 0xE00D, 0xE0DD))
UNDEFINED = 0xFFFFFFFF


def compressed(uid: str, **options: object) -> Change:
    """Compress every slice by pydicom's encoder."""
    return lambda slices: [each.compress(uid, **options) for each in slices]  # type: ignore[arg-type]


def jpeg_lossless(uid: str) -> Change:
    """Compress every slice as lossless JPEG."""
    return lambda slices: [with_frames(each, uid, [_jpeg_lossless(_stored(each))]) for each in slices]


def with_frames(dataset: FileDataset, uid: str, frames: Sequence[bytes]) -> FileDataset:
    """Put compressed frames into a dataset."""
    dataset.file_meta.TransferSyntaxUID = UID(uid)
    dataset.PixelData = encapsulate(list(frames))
    dataset["PixelData"].VR = "OB"
    dataset["PixelData"].is_undefined_length = True
    return dataset


def in_8_bits_by_jpeg(slices: list[FileDataset]) -> None:
    """Store HU in steps of 10, compressed by baseline JPEG."""
    for k, each in enumerate(slices):
        values = np.clip((body_hu()[:, :, k].T + 1030) // 10, 0, 255).astype(np.uint8)
        buffer = io.BytesIO()
        Image.fromarray(values).save(buffer, "JPEG", quality=98)
        each.BitsAllocated, each.BitsStored, each.HighBit = 8, 8, 7
        each.RescaleSlope, each.RescaleIntercept = 10, -1030
        with_frames(each, JPEGBaseline8Bit, [buffer.getvalue()])


def _stored(dataset: FileDataset) -> np.ndarray:
    return np.frombuffer(dataset.PixelData, "<u2").reshape(dataset.Rows, dataset.Columns).astype(int)


def _jpeg_lossless(plane: np.ndarray) -> bytes:
    """ITU T.81 process 14 with the first predictor, 16 bits, one Huffman code of 5 bits for each of 17 categories."""
    predicted = np.empty_like(plane)
    predicted[:, 1:] = plane[:, :-1]
    predicted[1:, 0] = plane[:-1, 0]
    predicted[0, 0] = 1 << 15
    bits = []
    for difference in (plane - predicted).ravel():
        category = int(abs(difference)).bit_length()
        bits.append(f"{category:05b}")
        if category:
            code = difference if difference > 0 else difference + (1 << category) - 1
            bits.append(f"{int(code):0{category}b}")
    text = "".join(bits)
    text += "1" * (-len(text) % 8)
    scan = int(text, 2).to_bytes(len(text) // 8).replace(b"\xff", b"\xff\x00")
    rows, columns = plane.shape
    return b"".join(
        (
            b"\xff\xd8",
            b"\xff\xc3" + struct.pack(">HBHHBBBB", 11, 16, rows, columns, 1, 1, 0x11, 0),
            b"\xff\xc4" + struct.pack(">HB", 36, 0) + bytes([0, 0, 0, 0, 17] + [0] * 11) + bytes(range(17)),
            b"\xff\xda" + struct.pack(">HBBBBBB", 8, 1, 1, 0, 1, 0, 0),
            scan,
            b"\xff\xd9",
        )
    )


def enlarged(frame: bytes) -> bytes:
    """A codestream whose own header claims 60000 x 60000 pixels."""
    huge = struct.pack(">HH", 60000, 60000)
    for start_of_frame in (b"\xff\xc3", b"\xff\xf7", b"\xff\xc0"):
        at = frame.find(start_of_frame)
        if at >= 0:
            return frame[: at + 5] + huge + frame[at + 9 :]
    at = frame.index(b"\xff\x51")
    return frame[: at + 6] + struct.pack(">II", 60000, 60000) + frame[at + 14 :]


def element(group: int, number: int, kind: bytes, value: bytes, length: int | None = None) -> bytes:
    """An explicit little-endian element with a long length field, which may lie."""
    return struct.pack("<HH2sHI", group, number, kind, 0, len(value) if length is None else length) + value


def deep(levels: int, *, closed: bool) -> bytes:
    """Sequences of undefined length within each other."""
    head = struct.pack("<HH2sHI", 0x0008, 0x1140, b"SQ", 0, UNDEFINED) + ITEM + struct.pack("<I", UNDEFINED)
    tail = ITEM_END + bytes(4) + SEQUENCE_END + bytes(4)
    return head * levels + (tail * levels if closed else b"")


def empty_items(count: int, *, ends: bool) -> bytes:
    """A sequence of items without content, of undefined length or of its true one."""
    items = (ITEM + bytes(4)) * count
    if ends:
        return element(0x0008, 0x1140, b"SQ", items)
    return element(0x0008, 0x1140, b"SQ", items + SEQUENCE_END + bytes(4), UNDEFINED)


def before_pixels(content: bytes, extra: bytes) -> bytes:
    """A DICOM file with something put in before its pixels."""
    at = content.index(PIXEL_DATA)
    return content[:at] + extra + content[at:]


def deflate_bomb(where: Callable[[bytes, bytes, bytes], tuple[bytes, bytes]]) -> bytes:
    """A deflated DICOM file of 2 MB that inflates to 2 GiB.

    `where` gives what stands before and after 2 GiB of zeros, from the header, Pixel Data's own head, and its value.
    """
    one = dicom_slices()[0]
    plain = dicom_bytes(one)
    start = 132 + 12 + int.from_bytes(plain[140:144], "little")
    at = plain.index(PIXEL_DATA)
    before, after = where(plain[start:at], plain[at : at + 12], plain[at + 12 :])
    meta = plain[:start].replace(b"1.2.840.10008.1.2.1\0", b"1.2.840.10008.1.2.1.99")
    meta = meta.replace(b"UI\x14\x001.2.840.10008.1.2.1.99", b"UI\x16\x001.2.840.10008.1.2.1.99")
    packer = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    first = packer.compress(before) + packer.flush(zlib.Z_FULL_FLUSH)
    # Behind a full flush nothing refers back, so the same block may be repeated.
    block = packer.compress(bytes(1 << 20)) + packer.flush(zlib.Z_FULL_FLUSH)
    return meta + first + block * 2048 + packer.compress(after) + packer.flush(zlib.Z_FINISH)


def with_huge_codestream(uid: str) -> Change:
    """Compress every slice; the codestream of the fourth claims 60000 x 60000 pixels."""

    def change(slices: list[FileDataset]) -> None:
        (jpeg_lossless(uid) if uid == JPEGLosslessSV1 else compressed(uid))(slices)
        frame = next(generate_frames(slices[3].PixelData, number_of_frames=1))
        with_frames(slices[3], uid, [enlarged(frame)])

    return change


def with_split_frames(dataset: FileDataset, offsets: Sequence[int] | None = None) -> FileDataset:
    """Split each compressed frame of a multi-frame dataset into two fragments; `offsets` replace the true table."""
    frames = list(generate_frames(dataset.PixelData, number_of_frames=dataset.NumberOfFrames))
    halves = [half for frame in frames for half in (frame[: len(frame) // 4 * 2], frame[len(frame) // 4 * 2 :])]
    fragments = [ITEM + struct.pack("<I", len(half)) + half for half in halves]
    starts = np.cumsum(
        [0, *(len(one) + len(other) for one, other in zip(fragments[::2], fragments[1::2], strict=True))]
    )
    table = struct.pack(f"<{len(frames)}I", *(starts[:-1] if offsets is None else offsets))
    dataset.PixelData = b"".join([ITEM, struct.pack("<I", len(table)), table, *fragments, SEQUENCE_END, bytes(4)])
    return dataset
