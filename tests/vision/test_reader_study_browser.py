"""The page of a reader study in a real browser: answered by keys and by clicks, downloaded, scored."""

from __future__ import annotations

import base64
import io
import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.vision.reader_crops import crop
from vision.synthesis.reader_study import read_answers, read_key, score_study
from vision.synthesis.reader_study.export import write_study

pytestmark = pytest.mark.browser


@pytest.fixture
def out(tmp_path: Path) -> Path:
    real = [crop(f"r{number}", None, seed=number) for number in range(2)]
    painted = [crop(f"p{number}", "x", seed=9 + number) for number in range(2)]
    write_study(real, painted, tmp_path, np.random.default_rng(0))
    return tmp_path


@pytest.fixture
def page(out: Path) -> Iterator[object]:
    playwright = pytest.importorskip(
        "playwright.sync_api", reason="playwright is not installed: pip install playwright"
    )
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    if chromium is None:
        pytest.skip("no chromium on the path: apt-get install chromium")
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        tab = browser.new_page(viewport={"width": 900, "height": 900})
        complaints: list[str] = []
        tab.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
        tab.on("pageerror", lambda error: complaints.append(str(error)))
        tab.on(
            "request",
            lambda asked: None if asked.url.startswith(("file:", "data:", "blob:")) else complaints.append(asked.url),
        )
        tab.goto((out / "for_readers" / "study.html").as_uri())
        yield tab
        assert complaints == []
        browser.close()


def download(page, button: str, into: Path) -> Path:
    with page.expect_download() as waiting:
        page.click(button)
    waiting.value.save_as(into)
    return into


def test_answers_by_keys_are_downloaded_and_scored(page, out: Path) -> None:
    key = read_key(out / "key.json")
    for number in range(1, 5):
        assert page.inner_text("#item") == f"Crop {number} of 4"
        page.keyboard.press("p" if key.engines[str(number)] else "r")
    assert page.inner_text("#done") == "4 answered"
    for button in ("#json", "#csv"):
        answers = read_answers(download(page, button, out / f"answers{button[1:]}"))
        assert score_study(answers, key).accuracy.right == 4


def test_answers_by_clicks_can_be_changed_and_left_open(page, out: Path) -> None:
    page.click("#real")
    page.click("#next")
    page.click("#previous")
    page.click("#previous")
    assert page.get_attribute("#real", "aria-pressed") == "true"
    page.click("#painted")
    content = json.loads(download(page, "#json", out / "answers.json").read_text())
    assert content["answers"] == {"1": "painted"}
    assert read_answers(download(page, "#csv", out / "answers.csv")).said == {"1": "painted"}


def test_slices_are_leafed_through_by_keys_and_drawn_as_they_are(page, out: Path) -> None:
    content = (out / "for_readers" / "study.html").read_text()
    found = re.search(r"base64,([A-Za-z0-9+/=]+)", content)
    assert found is not None
    strip = np.asarray(Image.open(io.BytesIO(base64.b64decode(found.group(1)))))
    page.wait_for_function("strips.every((strip) => strip.complete)")
    assert page.inner_text("#slice") == "Slice 5 of 9"
    assert np.array_equal(drawn(page), strip[4 * 128 : 5 * 128])
    page.keyboard.press("ArrowUp")
    assert page.inner_text("#slice") == "Slice 6 of 9"
    assert np.array_equal(drawn(page), strip[5 * 128 : 6 * 128])
    for _ in range(12):
        page.keyboard.press("ArrowDown")
    assert page.inner_text("#slice") == "Slice 1 of 9"


def drawn(page) -> np.ndarray:
    """(128, 128) the grey that is on the canvas."""
    script = "Array.from(pen.getImageData(0, 0, 128, 128).data).filter((_, place) => place % 4 === 0)"
    return np.array(page.evaluate(script)).reshape(128, 128)


def test_every_button_is_reached_by_the_tabulator_key(page) -> None:
    page.keyboard.press("ArrowUp")
    reached = []
    for _ in range(8):
        page.keyboard.press("Tab")
        reached.append(page.evaluate("document.activeElement.id"))
    assert {"real", "painted", "lower", "higher", "next", "json", "csv"} <= set(reached)
