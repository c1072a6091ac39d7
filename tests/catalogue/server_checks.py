"""Rows of the catalogue that need a running server: no CT yet, two visitors with one file name, stop in the middle."""

from __future__ import annotations

import json
import threading
import time
from pathlib import Path

from assistant.serve.site import Site
from tests.assistant.serve_client import Visitor, served, text_of
from tests.assistant.serve_engine import SLOW_SECONDS, engine
from vision.io import write_ct
from vision.phantom import make_phantom

STOPS_WITHIN_SECONDS = 2.0


def check_no_ct(folder: Path) -> None:
    """A question before any CT is open says what to do, by its code."""
    with served(Site(engine=engine("boxes"))) as url:
        visitor = Visitor(url)
        told = visitor.said("How big is the liver?")
        assert "E_NO_CT" in told
        assert "open the example CT" in told
        visitor.leave()


def check_two_visitors(folder: Path) -> None:
    """Two visitors send files of one name: each is answered about its own CT and reads its own files only."""
    with served(Site(engine=engine("boxes"))) as url:
        asked, files = {}, {}
        visitors = [Visitor(url), Visitor(url)]
        for visitor, spacing_mm in zip(visitors, (6.0, 7.0), strict=True):
            path = write_ct(make_phantom(spacing_mm=(spacing_mm,) * 3).ct, folder / f"{spacing_mm}.nii.gz")
            sent = visitor.upload(path, "ct.nii.gz").json()[0]
            assert f"voxels of {spacing_mm:g}" in text_of(visitor.ask("", upload=sent))
            files[visitor] = visitor.files("How big is the liver?")
            asked[visitor] = visitor.http.get(f"/{files[visitor][0]}").json()
        shapes = [tuple(record["ct"]["shape"]) for record in asked.values()]
        assert shapes[0] != shapes[1]
        for visitor, other in zip(visitors, reversed(visitors), strict=True):
            assert [visitor.http.get(f"/{link}").status_code for link in files[other]] == [404] * 3
            visitor.leave()


def check_stop(folder: Path) -> None:
    """Stop in the middle ends the work within two seconds; the CT stays open and the next question is answered."""
    path = write_ct(make_phantom(spacing_mm=(6.0, 6.0, 6.0)).ct, folder / "ct.nii.gz")
    with served(Site(engine=engine("slow"))) as url:
        visitor = Visitor(url)
        visitor.open(path)
        pressed: list[float] = []

        def press() -> None:
            time.sleep(SLOW_SECONDS / 3)
            pressed.append(time.monotonic())
            visitor.join("stop", [])

        button = threading.Thread(target=press)
        button.start()
        told = text_of(visitor.ask("How big is the liver?"))
        stopped = time.monotonic()
        button.join()
        assert "E_CANCELLED" in told
        assert stopped - pressed[0] < STOPS_WITHIN_SECONDS
        assert "liver" in json.dumps(visitor.ask("How big is the liver?"))
        assert visitor.files("How big is the liver?")
        visitor.leave()
