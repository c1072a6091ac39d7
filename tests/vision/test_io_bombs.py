"""Files that unpack to gigabytes are refused within 3 s and 200 MiB, and leave nothing behind."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.catalogue.make_archives import entries
from tests.catalogue.make_bombs import (
    bomb,
    bzip2_bomb,
    claiming_bomb,
    empty_members,
    gzip_bomb_in_zip,
    lying_zip_bomb,
    members_bomb,
    sparse,
    zip_bomb,
)
from tests.catalogue.make_nifti import file_of

MOST_SECONDS, MOST_MIB = 3.0, 200.0
# ru_maxrss would count the process that started this one; the kernel's high-water mark begins anew.
READ = """
import re, sys, time
from pathlib import Path
from vision.errors import InputRefused
from vision.io.load import read_ct
start = time.perf_counter()
try:
    read_ct(sys.argv[1])
except InputRefused as refusal:
    code = refusal.code
peak = int(re.search(r"VmHWM:\\s+(\\d+) kB", Path("/proc/self/status").read_text())[1])
print(code, time.perf_counter() - start, peak / 1024)
"""
BOMBS: dict[str, tuple[Callable[[Path], Path], str]] = {
    "4 GiB behind a small volume": (bomb, "E_SIZE"),
    "4096 gzip members": (members_bomb, "E_SIZE"),
    "a million empty members": (empty_members, "E_SIZE"),
    "a header that claims 4 GiB": (claiming_bomb(8192), "E_SIZE"),
    "a header that claims 1 GiB": (claiming_bomb(2048), "E_SIZE"),
    "2 GiB without gzip": (sparse, "E_SIZE"),
    "a zip of 300 MiB": (zip_bomb, "E_ARCHIVE_SIZE"),
    "a zip that lies about its 300 MiB": (lying_zip_bomb, "E_CORRUPT"),
    "a zip by bzip2": (bzip2_bomb, "E_ARCHIVE_METHOD"),
    "a gzip bomb in a zip": (gzip_bomb_in_zip, "E_SIZE"),
    "a zip of 300,000 files": (file_of(lambda: entries(300_000, zip64=True)), "E_ARCHIVE_COUNT"),
    "a zip of 300,000 files that announces 3": (file_of(lambda: entries(300_000, announced=3)), "E_ARCHIVE_COUNT"),
}


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="the peak of memory is read from /proc")
def test_every_bomb_is_refused_soon_and_small(tmp_path: Path) -> None:
    for number, (name, (make, code)) in enumerate(BOMBS.items()):
        folder = tmp_path / str(number)
        folder.mkdir()
        path = make(folder)
        before = {file: file.stat().st_size for file in folder.rglob("*")}
        done = subprocess.run([sys.executable, "-c", READ, str(path)], capture_output=True, text=True, check=True)
        refused, seconds, mebibytes = done.stdout.split()
        print(f"{name}: {refused}, {float(seconds):.2f} s, {float(mebibytes):.0f} MiB")
        assert refused == code
        assert float(seconds) < MOST_SECONDS
        assert float(mebibytes) < MOST_MIB
        assert {file: file.stat().st_size for file in folder.rglob("*")} == before
    print(f"{len(BOMBS)} bombs refused")
