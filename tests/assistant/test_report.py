"""Renderings of a record: golden pages, and that nothing from outside is ever read as markup."""

from __future__ import annotations

import os
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

from assistant.plan import SkillCall
from assistant.records import (
    AnswerRecord,
    BoxRecord,
    Finding,
    Measurement,
    Report,
    Site,
    Status,
    WarningRecord,
)
from assistant.report import page, report_html, report_markdown
from assistant.report.render import escape_markdown

GOLDEN = Path(__file__).parent / "golden"
PNG = b"\x89PNG\r\n\x1a\n picture"


def measured(finding: str, quantity: str, value: float, unit: str, method: str) -> Measurement:
    return Measurement(id=f"{finding}.{quantity}", quantity=quantity, value=value, unit=unit, method=method)


def liver() -> Finding:
    return Finding(
        id="F1",
        structure="liver",
        status=Status.SEEN,
        site=Site(first_slice=10, last_slice=90),
        confidence=0.97,
        measurements=(
            measured("F1", "volume", 1523.4, "mL", "voxel count x voxel volume"),
            measured("F1", "hu_mean", 104.2, "HU", "mean of the voxels in the mask"),
        ),
    )


def lesion() -> Finding:
    return Finding(
        id="F2",
        structure="pancreas_lesion",
        status=Status.SEEN,
        site=Site(organ="pancreas", part="tail", first_slice=40, last_slice=49),
        confidence=0.81,
        box=BoxRecord(start=(1, 2, 3), stop=(4, 5, 6), centre_mm=(1, 2, 3), size_mm=(24, 21, 23)),
        measurements=(measured("F2", "long_axis", 24.6, "mm", "RECIST 1.1 long axis in the axial plane"),),
    )


def spleen() -> Finding:
    return Finding(id="F3", structure="spleen", status=Status.SEEN, complete=False, cut_at=("superior",))


def bladder() -> Finding:
    return Finding(
        id="F4", structure="bladder", status=Status.NOT_ASSESSABLE, why="The installed model cannot segment it."
    )


def a_record(*, question: str = "Generate a report.", report: Report | None = None) -> AnswerRecord:
    return AnswerRecord(
        question=question,
        text="The liver measures 1,523 mL.\nA suspected lesion lies in the tail of the pancreas.",
        findings=(liver(), lesion(), spleen(), bladder()),
        report=report,
        warnings=(WarningRecord(code="W_PARTIAL", text="The scan does not cover the whole abdomen."),),
        plan=(SkillCall(name="segment", arguments={"structures": ["liver", "colon"]}),),
        planner="rules",
        segmenter="universal (3f2a91bc)",
        ct={"shape": [248, 192, 122], "spacing_mm": [1.5, 1.5, 2.5], "axcodes": "RAS", "facts": {"kvp": 120}},
    )


def a_report() -> Report:
    sections = (("Findings", ("The liver measures 1,523 mL.", "The spleen is cut.")), ("Impression", ("One lesion.",)))
    return Report(template="structured", sections=sections)


@pytest.fixture(autouse=True)
def _one_version(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(page, "software_version", lambda: "1.2.3")


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("answer.md", lambda: report_markdown(a_record())),
        ("report.md", lambda: report_markdown(a_record(report=a_report()))),
        ("report.html", lambda: report_html(a_record(report=a_report()), PNG)),
    ],
)
def test_rendering_equals_its_golden_file(name: str, text) -> None:
    golden = GOLDEN / name
    if os.environ.get("BODYMAPS_UPDATE_GOLDEN"):
        golden.parent.mkdir(exist_ok=True)
        golden.write_text(text(), encoding="utf-8")
    assert text() == golden.read_text(encoding="utf-8")


HOSTILE = '<script>alert(1)</script> ![x](http://a.b/c.png) | `code` **bold** "quoted"\n# heading'


def test_question_is_never_markup_in_the_page() -> None:
    html = report_html(a_record(question=HOSTILE))
    assert "<script" not in html
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in html


def test_question_is_never_markup_in_markdown() -> None:
    line = next(line for line in report_markdown(a_record(question=HOSTILE)).splitlines() if line.startswith("> "))
    assert re.search(r"(?<!\\)[<>|`*\[#]", line[2:]) is None
    assert "heading" in line


def test_markdown_escape_keeps_ampersands_as_typed() -> None:
    assert escape_markdown("&lt;b&gt;  x") == "&amp;lt;b&amp;gt; x"


def test_page_loads_and_runs_nothing() -> None:
    html = report_html(a_record(report=a_report()), PNG)
    loaded = re.findall(r'(?:src|href|action)="([^"]*)"', html)
    assert all(address.startswith("data:image/png;base64,") for address in loaded)
    assert "default-src 'none'" in html


def test_page_is_well_formed() -> None:
    class Balance(HTMLParser):
        open_tags: list[str]

        def handle_starttag(self, tag: str, attrs: object) -> None:
            if tag not in ("meta", "img", "br"):
                self.open_tags.append(tag)

        def handle_endtag(self, tag: str) -> None:
            assert self.open_tags.pop() == tag

    balance = Balance()
    balance.open_tags = []
    balance.feed(report_html(a_record(), PNG))
    assert balance.open_tags == []


def test_page_without_a_picture_has_no_figure() -> None:
    assert "<figure" not in report_html(a_record())


@pytest.mark.parametrize("rendered", [report_markdown(a_record()), report_html(a_record())])
def test_every_measurement_stands_with_id_and_method(rendered: str) -> None:
    for finding in a_record().findings:
        for measurement in finding.measurements:
            assert measurement.id in rendered
            assert measurement.method in rendered


def test_structure_that_was_asked_for_without_a_finding_is_told() -> None:
    assert ("colon", "It was asked for; the answer holds no finding about it.") in page.lay_out(a_record()).not_searched


def test_cut_structure_says_where_it_is_cut() -> None:
    assert page.lay_out(a_record()).findings[2].complete == "cut at: superior"


def test_empty_record_renders() -> None:
    record = AnswerRecord(question="hello", text="I read abdominal CTs.", planner="rules", segmenter="none")
    assert "No structure was searched" in report_markdown(record)
