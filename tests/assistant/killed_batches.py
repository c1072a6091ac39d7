"""Run as a program: a batch that is killed before each of its changes of the disk, and resumed; prints how often."""

from __future__ import annotations

import functools
import secrets
import sys
from pathlib import Path
from unittest import mock

from assistant.answer import Answer
from assistant.batch import answering
from assistant.batch.cases import BatchCase
from tests.assistant.batch_program import main as run
from tests.assistant.killed import contents, killed_before
from tests.assistant.small_scenes import about_boxes, call
from vision.errors import InputRefused
from vision.segmenter import Progress

TIMED = frozenset({"run.json", "timings.jsonl"})


def answer_quickly(case: BatchCase, setting: answering.Setting, progress: Progress) -> Answer:
    """An answer that is only words; a file that says 'bad' is refused."""
    if case.input.read_text() == "bad":
        raise InputRefused("E_TYPE", "The file is no CT.", "Give a CT.")
    return about_boxes(call("help")).ask(case.question)


def main(place: Path) -> None:
    """Two cases, one of them refused: the first run is killed before each change in turn, and so is the resumed one."""
    cases, whole = place / "cases", place / "whole"
    cases.mkdir()
    for name, text in (("jane_doe.nii", "a"), ("joan_roe.nii", "bad")):
        (cases / name).write_text(text)
    # The same key in every folder, so that the cases have the same ids.
    same_key = mock.patch.object(secrets, "token_bytes", bytes)
    with same_key, mock.patch.object(answering, "answer_case", answer_quickly):
        run(cases, whole)
        wanted = contents(whole, without=TIMED)
        assert sum("case.json" in name for name in wanted) == 2
        kills, change, killed = 0, 0, True
        while killed:
            change += 1
            out = place / f"out{change}"
            killed = killed_before(change, functools.partial(run, cases, out))
            kills += killed
            assert all((case / "case.json").is_file() for case in out.glob("case-*"))
            kills += killed_before(1 + change // 2, functools.partial(run, cases, out))
            run(cases, out)
            assert contents(out, without=TIMED) == wanted, change
        print(kills)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
