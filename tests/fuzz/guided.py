"""Coverage-guided fuzzing of NIfTI headers: python -m tests.fuzz.guided --seconds 60 (needs pip install atheris).

The gate may only open a file or refuse it with a UserError; anything else, 5 s or 1 GiB is a crash, whose input is kept
in the folder that --keep names.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import warnings
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["vision.io"]):
    from vision.errors import UserError
    from vision.io.load import read_ct

from tests.fuzz.mutants import Base, nifti_bases

MOST_MIB, TIMEOUT_S = 4096, 5
"""atheris grows with every input that it traces, the gate alone does not: its memory is what gate_mutants measures."""


def overlaid(bases: list[Base], data: bytes) -> bytes:
    """A file of which the first byte chose a base, and the others lie over its header."""
    content = bases[data[0] % len(bases)].content if data else b""
    return data[1:] + content[max(0, len(data) - 1) :]


def main() -> None:
    """Run until the time is over; ends with another status than 0 after a crash."""
    parser = argparse.ArgumentParser(description="Fuzz the NIfTI gate, guided by coverage.")
    parser.add_argument("--seconds", type=int, default=60)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--keep", type=Path, default=Path("runs/fuzz"))
    asked = parser.parse_args()
    warnings.simplefilter("ignore")
    asked.keep.mkdir(parents=True, exist_ok=True)
    bases = [base for base in nifti_bases() if not base.zipped]
    with tempfile.TemporaryDirectory() as folder:
        corpus, path = Path(folder) / "corpus", Path(folder) / "ct.nii"
        corpus.mkdir()
        for number, base in enumerate(bases):
            (corpus / str(number)).write_bytes(bytes([number]) + base.content[: base.header.itemsize + 4])

        def read(data: bytes) -> None:
            path.write_bytes(overlaid(bases, data))
            try:
                read_ct(path)
            except UserError:
                return

        options = {
            "max_total_time": asked.seconds,
            "seed": asked.seed,
            "timeout": TIMEOUT_S,
            "rss_limit_mb": MOST_MIB,
            "max_len": 550,
            "artifact_prefix": f"{asked.keep}/",
            "print_final_stats": 1,
        }
        atheris.Setup([sys.argv[0], *(f"-{name}={value}" for name, value in options.items()), str(corpus)], read)
        atheris.Fuzz()


if __name__ == "__main__":
    main()
