"""Turning whatever a library throws at a bad file into one refusal that a person understands."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from vision.errors import InputRefused, ResourceError, UserError

EXPORT_AGAIN = "Export or download the file again and compare its size with the original."


@dataclass(frozen=True)
class Limits:
    """How much the gate reads before it refuses. The defaults admit a whole-body CT and stop a bomb early."""

    bytes: int = 4 << 30
    """Of one file or archive after decompression."""
    voxels: int = 1 << 29
    """512 x 512 x 2048: 1 GiB as int16."""
    slices: int = 4000
    files: int = 20_000
    """In a folder or an archive."""
    archive_ratio: float = 100.0
    """Decompressed over compressed size of an archive above 200 MiB."""
    gzip_ratio: float = 400.0
    """Decompressed over compressed size of a CT above 64 MiB; real ones have 2 to 6, hardly any noise makes 20."""
    memory: int = 8 << 30
    """Address space of the process that reads."""
    seconds: float = 300.0
    """For reading one CT."""


LIMITS = Limits()


@contextmanager
def refusing(code: str, what: str, remedy: str = EXPORT_AGAIN) -> Iterator[None]:
    """Run library calls; any exception of theirs becomes InputRefused(code, what, remedy).

    Only the class of the library's exception is kept: its text may quote the file, and a file may hold a name.
    """
    try:
        yield
    except UserError:
        raise
    except MemoryError:
        raise ResourceError("E_MEMORY", "The CT needs more memory than there is.", "Crop it to the abdomen.") from None
    # The parsers raise a dozen unrelated classes on damaged bytes; here, and only here, all of them mean the same.
    except Exception as error:
        raise InputRefused(code, f"{what} ({type(error).__name__}).", remedy) from None
