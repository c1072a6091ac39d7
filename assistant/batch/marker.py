"""The marker of a finished case: what it was asked of, with what, and the row it adds to the tables."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from assistant.batch.cases import BatchCase
from assistant.version import software_version
from vision.errors import UsageError
from vision.io import Choices, write_text

MARKER = "case.json"


@dataclass(frozen=True)
class Marker:
    """What `<out>/<case_id>/case.json` holds. It carries no time, so that its bytes are the same in every run."""

    fingerprint: str
    row: dict[str, Any]

    @property
    def failed(self) -> bool:
        """Whether the case ended with an error."""
        return self.row["status"] != "done"


def fingerprint(case: BatchCase, *, segmenter: str, planner: str, formats: Iterable[str], choices: Choices) -> str:
    """A hash that changes with the question, the models, the software, the formats, the choices or the input's files.

    Files count by relative name, size and time of change: reading gigabytes to skip them would not pay.
    """
    state = [
        case.case_id,
        case.question,
        segmenter,
        planner,
        software_version(),
        sorted(formats),
        asdict(choices),
        list(_files_of(case.input)),
    ]
    return hashlib.sha256(json.dumps(state).encode()).hexdigest()


def _files_of(source: Path) -> Iterator[tuple[str, int, int]]:
    files = sorted(path for path in source.rglob("*") if path.is_file()) if source.is_dir() else [source]
    for path in files:
        # One that cannot be looked at is the gate's to refuse.
        with suppress(OSError, ValueError):
            stat = path.stat()
            yield path.relative_to(source).as_posix(), stat.st_size, stat.st_mtime_ns


def write_marker(marker: Marker, folder: Path) -> None:
    """Write the marker into a case's unfinished folder, which is renamed as a whole afterwards."""
    write_text(folder / MARKER, json.dumps(asdict(marker), indent=1, ensure_ascii=False) + "\n")


def read_marker(folder: Path) -> Marker | None:
    """The marker of a finished case, None where there is none or it cannot be read."""
    try:
        values = json.loads((folder / MARKER).read_text(encoding="utf-8"))
        marker = Marker(str(values["fingerprint"]), dict(values["row"]))
        return marker if "status" in marker.row else None
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return None


def require_own_folder(folder: Path) -> None:
    """Raise UsageError when a case's output would replace something that no batch wrote."""
    if folder.exists() and not (folder / MARKER).is_file():
        raise UsageError(
            "E_OUT_OCCUPIED",
            f"The output folder already holds a {folder.name!r} that is not an earlier result.",
            "Name an empty folder with --out.",
        )
