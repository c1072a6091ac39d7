"""Run as a program: a bodymaps command whose slow part says "at work" and then lasts until a signal ends it."""

from __future__ import annotations

import os
import time
from contextlib import ExitStack
from unittest import mock

import assistant.api
import assistant.demo
import vision.benchmark
from assistant import cli
from assistant.batch import answering
from tests.fakes import BoxSegmenter

SLOW_PARTS = (
    (assistant.api, "open_ct"),
    (assistant.demo, "make_phantom"),
    (answering, "answer_case"),
    (vision.benchmark, "evaluate_cases"),
)


def work_for_long(*arguments: object, **options: object) -> None:
    """Work until a signal comes, and for as long again on the way out when SLOW_CLEANING is set."""
    try:
        # Within: the signal may follow these words at once.
        print("at work", flush=True)
        time.sleep(60)
    finally:
        if "SLOW_CLEANING" in os.environ:
            print("cleaning", flush=True)
            time.sleep(60)


def main() -> None:
    """Run the command with every slow part replaced."""
    with ExitStack() as stack:
        for place, name in SLOW_PARTS:
            stack.enter_context(mock.patch.object(place, name, work_for_long))
        stack.enter_context(mock.patch.object(vision.benchmark, "find_cases", return_value=[]))
        stack.enter_context(mock.patch.object(assistant.api, "default_segmenter", BoxSegmenter))
        cli.main()


if __name__ == "__main__":
    main()
