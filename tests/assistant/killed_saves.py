"""Run as a program: saves an answer over another and is killed before every change of the disk; prints how many."""

from __future__ import annotations

import functools
import sys
from pathlib import Path

from assistant.answer_files import replace_answer
from tests.assistant.killed import contents, killed_before
from tests.assistant.small_scenes import about_boxes, call
from vision.io import write_bytes

FOREIGN = {"notes.txt": b"mine", "masks/mine.nii.gz": b"mine"}


def main(place: Path) -> None:
    """An answer and foreign files lie there; the save of another is killed before each change, then done."""
    few = written(place / "few", call("segment", "liver"))
    many = written(place / "many", call("segment", "liver", "spleen"))
    assert set(many) - set(few) == {"masks/spleen.nii.gz"}
    kills = 0
    for number, (earlier, new) in enumerate(((few, many), (many, few), ({}, few))):
        save = functools.partial(fill, files=new)
        change, killed = 0, True
        while killed:
            change += 1
            folder = place / f"{number}_{change}"
            fill(folder, {**earlier, **FOREIGN})
            killed = killed_before(change, functools.partial(replace_answer, folder, save))
            kills += killed
            left = {name: data for name, data in contents(folder).items() if not name.startswith(".bodymaps/")}
            assert "answer.json" not in left or left in ({**earlier, **FOREIGN}, {**new, **FOREIGN}), (change, [*left])
            assert FOREIGN.items() <= left.items()
            replace_answer(folder, save)
            assert contents(folder) == {**new, **FOREIGN}, change
            assert not (folder / ".bodymaps").exists()
    print(kills)


def written(folder: Path, *calls: object) -> dict[str, bytes]:
    """The files of an answer by name."""
    about_boxes(*calls).ask("?").without_times().write_files(folder)
    return contents(folder)


def fill(folder: Path, files: dict[str, bytes]) -> None:
    """Write files by name."""
    for name, data in files.items():
        write_bytes(folder / name, data)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
