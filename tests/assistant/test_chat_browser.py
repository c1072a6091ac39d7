"""The chat page in a real browser: upload, ask twice, leaf through the slices, look."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from assistant.serve.site import Site
from tests.assistant.fake_conversation import open_fake, small_ct
from tests.assistant.serve_client import served
from vision.io import write_ct

pytestmark = pytest.mark.browser
SECONDS = 60_000


@pytest.fixture
def page(tmp_path: Path) -> Iterator[object]:
    playwright = pytest.importorskip(
        "playwright.sync_api", reason="playwright is not installed: pip install playwright"
    )
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    if chromium is None:
        pytest.skip("no chromium on the path: apt-get install chromium")
    with served(Site(open_with=open_fake)) as url, playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        tab = browser.new_page(viewport={"width": 1440, "height": 900})
        tab.set_default_timeout(SECONDS)
        complaints: list[str] = []
        tab.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
        tab.on("response", lambda answer: complaints.append(answer.url) if answer.status >= 400 else None)
        tab.on(
            "request",
            lambda asked: None if asked.url.startswith((url, "data:", "blob:")) else complaints.append(asked.url),
        )
        tab.goto(url)
        yield tab
        browser.close()
        assert complaints == []


def ask(page, question: str) -> None:
    page.fill("#box textarea", question)
    page.press("#box textarea", "Enter")


def test_a_ct_is_uploaded_asked_twice_and_leafed_through(page, tmp_path: Path) -> None:
    ct = write_ct(small_ct(), tmp_path / "DOE_JANE.nii.gz")
    page.set_input_files("#box input[type=file]", str(ct))
    page.wait_for_selector("#box .thumbnail-item, #box [class*=thumbnail]")
    ask(page, "Segment the liver.")
    page.wait_for_selector("#chat >> text=1,523 mL")
    page.wait_for_selector("#findings >> text=liver lesion")
    first = page.wait_for_selector("#picture img").get_attribute("alt")
    ask(page, "Generate a report.")
    page.wait_for_selector("#chat >> text=Volume of the liver")
    with page.expect_download() as download:
        page.click("#files >> text=Report (HTML)")
    assert download.value.suggested_filename == "report.html"
    assert "1,523 mL" in Path(download.value.path()).read_text(encoding="utf-8")
    page.fill("#slice input[type=number]", "4")
    page.press("#slice input[type=number]", "Enter")
    page.wait_for_selector('#picture img[alt="axial slice 4 of the CT"]')
    assert first == "axial slice 13 of the CT"
    page.hover("#picture img")
    page.mouse.wheel(0, 100)
    page.wait_for_selector('#picture img[alt="axial slice 5 of the CT"]')
    page.click("#controls >> text=Coronal")
    page.wait_for_selector('#picture img[alt^="coronal slice"]')
    shown = page.inner_text("body")
    assert "DOE" not in shown
    assert "{" not in shown
    assert shown.count("not for clinical use") == 1
    page.screenshot(path=os.environ.get("BODYMAPS_SCREENSHOT", str(tmp_path / "chat.png")), full_page=True)


def test_a_file_that_is_no_ct_is_refused_in_words(page, tmp_path: Path) -> None:
    wrong = tmp_path / "ct.nii.gz"
    wrong.write_bytes(b"this is a text file")
    page.set_input_files("#box input[type=file]", str(wrong))
    page.wait_for_selector("#box .thumbnail-item, #box [class*=thumbnail]")
    ask(page, "Segment the liver.")
    refusal = page.wait_for_selector("#chat code")
    assert refusal.inner_text().startswith("E_")
    assert "Traceback" not in page.inner_text("body")


def test_another_visitor_finds_nothing_open(page) -> None:
    page.click("#examples >> text=Open the example CT")
    page.wait_for_selector("#picture img")
    other = page.context.browser.new_page()
    other.goto(page.url)
    other.wait_for_selector("#examples >> text=Segment the liver.")
    other.click("#examples >> text=Segment the liver.")
    other.wait_for_selector("#chat >> text=No CT is open yet")
    assert other.query_selector("#picture img") is None


def test_while_work_goes_on_the_slices_can_be_leafed_through_and_stop_ends_it(page) -> None:
    page.click("#examples >> text=Open the example CT")
    page.wait_for_selector("#picture img")
    assert not page.is_visible("#box .stop-button")
    ask(page, "Please hold.")
    page.wait_for_selector("#chat >> text=Waiting")
    assert not page.is_visible("#box .submit-button")
    page.fill("#slice input[type=number]", "7")
    page.press("#slice input[type=number]", "Enter")
    page.wait_for_selector('#picture img[alt="axial slice 7 of the CT"]')
    page.fill("#box textarea", "And the spleen")
    page.click("#box .stop-button")
    page.wait_for_selector("#chat >> text=E_CANCELLED")
    assert page.input_value("#box textarea") == "And the spleen"
    ask(page, "Segment the liver.")
    page.wait_for_selector("#chat >> text=1,523 mL")


def test_words_of_a_question_do_not_run(page) -> None:
    page.evaluate("window.ran = false")
    ask(page, "<img src=x onerror='window.ran=true'> <script>window.ran=true</script>")
    page.wait_for_selector("#chat >> text=No CT is open yet")
    assert page.evaluate("window.ran") is False
    assert "<script>" in page.inner_text("#chat")
