"""What the chat page shows: tables, pictures, files to take away."""

from __future__ import annotations

import io
import json
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from assistant.serve.downloads import FILES, Takeaway
from assistant.serve.page.view import answer_text, files_html, findings_html, picture_html, plain, warnings_html
from assistant.serve.page.viewer import first_slice, picture, plane_of, slice_range
from tests.assistant.fake_conversation import FakeConversation, small_ct
from vision.errors import UsageError
from vision.geometry import CTVolume, Notice


def test_words_from_outside_cannot_become_markup() -> None:
    assert plain("<b>**x** $y$") == "&lt;b&gt;&#42;&#42;x&#42;&#42; &#36;y&#36;"
    assert plain("a_b") == "a&#95;b"
    assert "<script>" not in warnings_html([Notice("W", "<script>")])
    assert 'alt="&quot;&gt;"' in picture_html(Image.new("RGB", (2, 2)), '">')


def test_the_findings_table_shows_numbers_place_and_what_could_not_be_assessed() -> None:
    conversation = FakeConversation()
    answer = conversation.ask("Generate a report.")
    table = findings_html(answer.findings)
    for text in ("1,523 mL", "16 mm", "0.83", "segment 7", "not assessable", "below the scan range"):
        assert text in table
    assert "{" not in table
    assert "Findings appear here" in findings_html(())
    assert "**Liver**" in answer_text(answer)


def test_a_warning_is_shown_once() -> None:
    notice = Notice("W_SMALL", "The scan range is short.")
    assert warnings_html([notice, notice]).count("short") == 1


def test_the_viewer_opens_at_the_finding_and_follows_the_plane() -> None:
    conversation = FakeConversation()
    assert "No CT is open" in picture(None, plane="axial", index=0, window="Abdomen", overlay="Masks")
    assert (slice_range(None, "axial"), first_slice(None, (), "axial")) == (1, 0)
    conversation.ask("Segment the liver.")
    assert slice_range(conversation, "coronal") == 39
    assert first_slice(conversation, conversation.findings, "axial") == 13
    drawn = {
        overlay: picture(conversation, plane="axial", index=13, window="Abdomen", overlay=overlay)
        for overlay in ("Masks", "Outlines", "No masks")
    }
    assert len(set(drawn.values())) == 3
    assert "data:image/png;base64," in drawn["Masks"]


def test_an_unknown_plane_or_window_is_refused() -> None:
    with pytest.raises(UsageError, match="no such plane"):
        plane_of("oblique")
    with pytest.raises(UsageError, match="no such window"):
        picture(FakeConversation(), plane="axial", index=0, window="brain", overlay="Masks")


def test_downloads_hold_the_record_the_masks_and_a_printable_report(tmp_path: Path) -> None:
    files = Takeaway(FakeConversation().ask("Generate a report."), tmp_path / "answer")
    assert json.loads(files.file("answer.json").read_text())["question"] == "Generate a report."
    names = zipfile.ZipFile(io.BytesIO(files.file("masks.zip").read_bytes())).namelist()
    assert {"masks/liver.nii.gz", "combined_labels.nii.gz", "preview.png", "answer.json"} <= set(names)
    assert "data:image/png" in files.file("report.html").read_text()


def test_an_answer_without_masks_still_downloads(tmp_path: Path) -> None:
    answer = FakeConversation().ask("Hello")
    bare = type(answer)(answer.record.model_copy(update={"findings": ()}), {}, answer.ct)
    assert Takeaway(bare, tmp_path / "answer").file("report.html").exists()


def test_the_files_of_an_answer_are_links_and_none_before_the_first() -> None:
    assert "href" not in files_html({})
    shown = files_html({name: f"token{number}" for number, name in enumerate(FILES)})
    assert shown.count('href="results/token') == len(FILES)


def test_a_ct_of_one_slice_leaves_the_slider_a_range() -> None:
    ct = CTVolume(np.zeros((8, 8, 1), dtype=np.int16), small_ct().grid.from_spacing((8, 8, 1), (1, 1, 1)))
    assert slice_range(FakeConversation(ct), "axial") == 1
