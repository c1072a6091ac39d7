"""A spy in a process and in all its children: every name they make, every command line and every address."""

from __future__ import annotations

import os
from pathlib import Path

from tests.sources import ROOT

SPY = '''
"""Writes down every name that a process makes, every command line and every address that it calls."""
import os
import sys

LOG = os.open(os.environ["SPY_LOG"], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT


def spy(event, args):
    if event == "open":
        path, mode, flags = args
        if not (set(mode or "") & set("wax+") or (flags or 0) & WRITING):
            return
        told = path
    elif event in ("os.mkdir", "os.rename", "os.link", "os.symlink", "tempfile.mkstemp", "tempfile.mkdtemp"):
        told = args
    elif event == "subprocess.Popen":
        told = args[1]
    elif event in ("socket.connect", "socket.bind", "socket.getaddrinfo", "os.exec", "os.system"):
        told = args
    else:
        return
    os.write(LOG, f"{event} {told!r}\\n".encode(errors="backslashreplace"))


sys.addaudithook(spy)
'''


def spied_on(folder: Path) -> dict[str, str]:
    """The environment of a process to spy on; its temporary files lie in `folder`/tmp."""
    place, temporary = folder / "spy", folder / "tmp"
    for each in (place, temporary):
        each.mkdir(exist_ok=True)
    (place / "sitecustomize.py").write_text(SPY)
    (place / "log").unlink(missing_ok=True)
    return {
        **os.environ,
        "PYTHONPATH": os.pathsep.join((str(place), str(ROOT))),
        "SPY_LOG": str(place / "log"),
        "TMPDIR": str(temporary),
        "BODYMAPS_DEBUG": "",
    }


def seen_in(folder: Path) -> str:
    """All that the spy wrote down."""
    return (folder / "spy" / "log").read_text(encoding="utf-8")
