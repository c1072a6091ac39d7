"""Run as a program: one batch over CTs with a segmenter that needs no weights. It says when its work begins."""

from __future__ import annotations

import sys
from pathlib import Path

from assistant.batch import run_batch
from assistant.terminal import run_command
from tests.fakes import BoxSegmenter

QUESTION = "Generate a report."


def main(cases: Path, out: Path, num_parts: int = 1, part_id: int = 0) -> None:
    """Begin or resume the batch."""
    print("ready", flush=True)
    run_batch(
        [cases],
        out,
        question=QUESTION,
        resume=True,
        num_parts=num_parts,
        part_id=part_id,
        segmenter=BoxSegmenter(),
    )


if __name__ == "__main__":
    sys.exit(run_command(lambda: main(Path(sys.argv[1]), Path(sys.argv[2]), *map(int, sys.argv[3:]))))
