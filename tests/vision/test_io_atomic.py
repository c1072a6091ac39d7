"""Files that are written aside: what a killed process leaves is hidden, and the next write removes it."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from pathlib import Path
from typing import BinaryIO

import pytest

from vision.errors import ResourceError
from vision.io import write_atomically, write_bytes
from vision.io.files.atomic import output_error, remove_leftovers, writing
from vision.io.files.lock import drop_lock, is_linked, take_lock, try_lock

KILLED_WRITE = """
import os, signal, sys
from vision.io import write_atomically
def write(file):
    file.write(b"half")
    file.flush()
    os.kill(os.getpid(), signal.SIGKILL)
write_atomically(sys.argv[1], write)
"""
HOLD = """
import sys
from pathlib import Path
from vision.io.files.lock import take_lock
assert take_lock(Path(sys.argv[1])) is not None
print("held", flush=True)
sys.stdin.read()
"""


def test_the_next_write_removes_what_a_killed_one_left(tmp_path: Path) -> None:
    path = write_bytes(tmp_path / "result", b"old")
    ended = subprocess.run([sys.executable, "-c", KILLED_WRITE, str(path)], check=False)
    left = sorted(file.name for file in tmp_path.iterdir())
    assert ended.returncode == -9
    assert path.read_bytes() == b"old"
    assert [name.startswith(".") and name.endswith(".part") for name in left] == [True, False]
    write_bytes(path, b"new")
    assert [file.name for file in tmp_path.iterdir()] == ["result"]


def test_a_file_that_is_being_written_is_no_leftover(tmp_path: Path) -> None:
    def write(file: BinaryIO) -> None:
        file.write(b"slow")
        write_bytes(tmp_path / "other", b"quick")

    assert write_atomically(tmp_path / "result", write).read_bytes() == b"slow"
    assert sorted(file.name for file in tmp_path.iterdir()) == ["other", "result"]


def test_only_files_of_our_own_making_are_leftovers(tmp_path: Path) -> None:
    for name in (".notes.part", "0123456789abcdef.part", ".0123456789ABCDEF.part", ".0123456789abcdef.part.gz"):
        (tmp_path / name).write_text("a person's own")
    (tmp_path / ".0123456789abcdef.part").mkdir()
    remove_leftovers(tmp_path)
    assert len(list(tmp_path.iterdir())) == 5


def test_a_lock_is_one_processs_and_dies_with_it(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert holder.stdout is not None
    assert holder.stdout.readline() == "held\n"
    assert take_lock(path) is None
    holder.kill()
    holder.communicate()
    descriptor = take_lock(path)
    assert descriptor is not None
    assert is_linked(descriptor, path)
    drop_lock(descriptor, path)
    assert not path.exists()


def test_a_removed_or_replaced_lock_is_not_linked(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    descriptor = take_lock(path)
    assert descriptor is not None
    path.unlink()
    assert not is_linked(descriptor, path)
    path.write_text("")
    assert not is_linked(descriptor, path)
    os.close(descriptor)


def test_where_nothing_can_be_locked_files_are_written_and_leftovers_stay(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(descriptor: int, how: int) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    (tmp_path / ".0123456789abcdef.part").write_text("whose?")
    monkeypatch.setattr("fcntl.flock", refuse)
    with (tmp_path / "file").open("w") as file:
        assert try_lock(file.fileno()) is None
    assert write_bytes(tmp_path / "result", b"x").read_bytes() == b"x"
    assert (tmp_path / ".0123456789abcdef.part").exists()


@pytest.mark.parametrize(
    ("number", "code"), [(errno.ENOSPC, "E_DISK"), (errno.EDQUOT, "E_DISK"), (errno.EROFS, "E_OUTPUT")]
)
def test_what_the_system_refuses_is_told_without_the_path(number: int, code: str) -> None:
    error = OSError(number, os.strerror(number), "/patients/doe_jane")
    assert output_error(error).code == code
    with pytest.raises(ResourceError, match=code) as refused, writing():
        raise error
    assert "doe" not in str(refused.value)
