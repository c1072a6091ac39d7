"""The child process that reads untrusted files: python -m vision.io.child DESCRIPTOR, started by `vision.io.apart`."""

from __future__ import annotations

import json
import os
import resource
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from vision.errors import ResourceError, UserError
from vision.io.choices import Choices
from vision.io.load import read_ct, read_inventory
from vision.io.refusal import Limits


def answer(request: dict[str, Any], descriptor: int) -> dict[str, Any]:
    """Read what is asked for; the voxels go into the shared memory, all else into the answer."""
    limits = Limits(**request["limits"])
    path = Path(request["path"])
    if request["task"] == "inventory":
        return {"series": [asdict(row) for row in read_inventory(path, limits=limits)]}
    ct = read_ct(path, choices=Choices(**request["choices"]), limits=limits)
    try:
        _write(ct.hu, descriptor)
    except OSError:
        raise ResourceError("E_MEMORY", "The CT needs more memory than there is.", "Crop it to the abdomen.") from None
    return {
        "shape": ct.grid.shape,
        "affine": ct.grid.affine.tolist(),
        "dtype": ct.hu.dtype.str,
        "facts": dict(ct.facts),
        "warnings": [(notice.code, notice.text) for notice in ct.warnings],
    }


def _write(hu: np.ndarray, descriptor: int) -> None:
    """Write voxels (I, J, K) in Fortran order. A system call takes at most 2 GiB at once."""
    content = hu.ravel(order="F").view(np.uint8).data
    done = 0
    while done < len(content):
        done += os.write(descriptor, content[done : done + (1 << 30)])


def confine(limits: Limits) -> None:
    """Give up for good what a reader does not need: memory and processor time without end, and core dumps."""
    for what, most in (
        (resource.RLIMIT_AS, limits.memory),
        (resource.RLIMIT_CPU, int(limits.seconds) + 1),
        (resource.RLIMIT_CORE, 0),
    ):
        _, hard = resource.getrlimit(what)
        least = most if hard == resource.RLIM_INFINITY else min(most, hard)
        resource.setrlimit(what, (least, least))


def main(descriptor: int) -> None:
    """Answer the one request on standard input."""
    request = json.load(sys.stdin)
    confine(Limits(**request["limits"]))
    try:
        reply = answer(request, descriptor)
    except UserError as error:
        reply = {"error": type(error).__name__, "code": error.code, "what": error.what, "remedy": error.remedy}
    json.dump(reply, sys.stdout)


if __name__ == "__main__":
    main(int(sys.argv[1]))
