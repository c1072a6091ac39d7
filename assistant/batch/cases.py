"""Which CTs a batch is about: files, folders, zips, folders of cases, or a manifest; and what the cases are called."""

from __future__ import annotations

import hmac
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from assistant.batch.manifest import SUFFIXES, TABLE_NAME, read_manifest
from vision.errors import InputRefused, UsageError
from vision.io.files.entries import JUNK, file_entry
from vision.io.files.sniff import is_dicom
from vision.io.refusal import refusing

CT_SUFFIXES = (".nii.gz", ".nii", ".zip")
CT_NAMES = ("ct.nii.gz", "ct.nii", "ct.zip")
ID_DIGITS = 10


@dataclass(frozen=True)
class FoundCT:
    """A file or folder that a CT can be read from. `case_id` is None where no manifest names the case."""

    place: str
    """Where in the inputs it was found, to be told instead of its name: 'input 3', 'row 5 of input 1'."""
    input: Path
    question: str
    case_id: str | None = None


@dataclass(frozen=True)
class BatchCase:
    """One CT of a batch. `case_id` is safe as a folder name."""

    case_id: str
    input: Path
    question: str


def find_cts(inputs: Sequence[str | Path], *, question: str, out: Path) -> list[FoundCT]:
    """Every CT of the inputs in order; `question` is asked where a manifest asks none.

    An input is a NIfTI file or zip (one CT), a folder that holds `ct.nii.gz` or DICOM files (one), any other folder
    (each sub-folder, NIfTI file or zip in it, apart from the batch's own `out`), or a manifest, whose paths are
    relative to itself. Errors name an input by its position, never by its name.
    Raises UsageError for no input, an input that is `out`, or a malformed manifest, InputRefused for a missing, empty
    or unreadable input.
    """
    found = [
        ct
        for number, path in enumerate(inputs, start=1)
        for ct in _in_input(Path(path), number, question, out.resolve())
    ]
    if not found:
        raise UsageError("E_NO_CASES", "No case was given.", "Name CTs, folders of CTs or a manifest.")
    return found


def name_cases(found: Sequence[FoundCT], name: Callable[[Path], str]) -> list[BatchCase]:
    """The cases, called as their manifest has it, else by `name`. Raises UsageError for two of one name."""
    seen: dict[str, str] = {}
    cases = []
    for ct in found:
        case_id = ct.case_id or name(ct.input)
        earlier = seen.setdefault(case_id.lower(), ct.place)
        if earlier != ct.place:
            raise UsageError(
                "E_DUPLICATE_CASE",
                f"Two cases would be called the same: {earlier} and {ct.place}.",
                "Leave one out, or give each its own case_id in a manifest: case_id,input.",
            )
        cases.append(BatchCase(case_id, ct.input, ct.question))
    return cases


def opaque_name(path: Path, key: bytes) -> str:
    """An id that tells nothing of the file's name to anyone without the key, and is the same whenever it is asked."""
    return f"case-{hmac.digest(key, str(path.resolve()).encode(errors='surrogateescape'), 'sha256').hex()[:ID_DIGITS]}"


def own_name(path: Path) -> str:
    """A folder name for a CT: its own name, or that of its folder where a file is just called 'ct'."""
    whole = path.resolve()
    name = whole.parent.name if whole.name.lower() in CT_NAMES else whole.name
    suffix = next((end for end in CT_SUFFIXES if name.lower().endswith(end)), "")
    safe = re.sub(r"[^A-Za-z0-9._-]+", "_", name[: len(name) - len(suffix)])
    safe = safe.strip("._-")[:100].rstrip(".") or "case"
    return f"case_{safe}" if TABLE_NAME.fullmatch(safe) else safe


def _in_input(source: Path, number: int, question: str, out: Path) -> Iterator[FoundCT]:
    place = f"input {number}"
    _require_found(source, number)
    if source.resolve() == out:
        raise UsageError("E_OUT", f"The results would lie among the CTs of {place}.", "Name another folder with --out.")
    if source.suffix.lower() in SUFFIXES and source.is_file():
        for row in read_manifest(source, place):
            yield FoundCT(
                f"row {row.number} of {place}", source.parent / row.input, row.question or question, row.case_id
            )
    elif source.is_dir():
        with refusing("E_PERM", f"Input {number} cannot be listed", "Check its permissions."):
            inside = _cts_in(source, out)
        if not inside:
            raise InputRefused("E_EMPTY_FOLDER", f"Input {number} is an empty folder.", "Name one that holds CTs.")
        for position, path in enumerate(inside, start=1):
            yield FoundCT(place if len(inside) == 1 else f"CT {position} of {place}", path, question)
    else:
        yield FoundCT(place, source, question)


def _require_found(source: Path, number: int) -> None:
    try:
        source.stat()
    except PermissionError:
        raise InputRefused("E_PERM", f"Input {number} cannot be read.", "Check its permissions.") from None
    except (OSError, ValueError):
        raise InputRefused("E_NOT_FOUND", f"Input {number} does not exist.", "Check the path.") from None


def _cts_in(folder: Path, out: Path) -> list[Path]:
    """The CTs of a folder: itself, or one for each entry; none where it is empty."""
    own = _own_ct(folder)
    if own is not None:
        return [own]
    entries = sorted(entry for entry in folder.iterdir() if not entry.name.startswith("."))
    others = [entry for entry in entries if entry.resolve() != out]
    inside = [entry for entry in others if entry.is_dir() or _is_ct_file(entry)]
    if inside and not any(map(_is_slice, others)):
        return [(_own_ct(entry) or entry) if entry.is_dir() else entry for entry in inside]
    return [folder] if others else []


def _own_ct(folder: Path) -> Path | None:
    """The file that a case folder keeps its CT in, None when it has none."""
    return next((folder / name for name in CT_NAMES if (folder / name).is_file()), None)


def _is_slice(path: Path) -> bool:
    """Whether a file begins as DICOM: the folder is then one study, whatever else lies in it."""
    if path.name in JUNK or not path.is_file():
        return False
    try:
        return is_dicom(file_entry(path).start())
    except InputRefused:
        return False


def _is_ct_file(path: Path) -> bool:
    return path.is_file() and path.name.lower().endswith(CT_SUFFIXES)
