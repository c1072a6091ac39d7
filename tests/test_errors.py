"""The catalogue of errors: each has a code, says what is wrong and what to do, and stands on the page."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

import pytest

from tests.errors_page import GAP, MAKERS, PAGE, ErrorSite, calls_of, page, shown, sites
from tests.sources import SOURCES, parse, relative

PASSED_ON = {"vision/io/refusal.py", "assistant/batch/run.py", "vision/io/apart.py", "vision/io/nifti/orientation.py"}
"""Files that give an error of elsewhere its class back, or a remedy more, and so write no code."""
SHORTEST_SENTENCE = 8
OUR_OWN_NAMES = {
    ("vision/models/weights_file.py", "file.name"),
    ("vision/models/registry.py", "description.name"),
    ("vision/benchmark/engine_times.py", "segmenter.name"),
    ("vision/benchmark/speed_tasks.py", "segmenter.name"),
    ("vision/io/write.py", "structure.name"),
    ("assistant/batch/marker.py", "folder.name"),
}
"""Files of models, names of structures, and folders that are called by a case's opaque id."""


def test_there_are_hundreds_of_ways_to_fail_and_each_is_known() -> None:
    assert len({site.place for site in sites()}) > 200
    assert len({site.code for site in sites()}) > 60


@pytest.mark.parametrize(
    "site", [site for site in sites() if shown(site)], ids=lambda site: f"{site.place} {site.code}"
)
def test_error_has_a_code_and_says_what_is_wrong_and_what_to_do(site: ErrorSite) -> None:
    assert re.fullmatch(r"E_[A-Z0-9_]{2,30}", site.code)
    for sentence in (site.what, site.remedy):
        plain = sentence.strip()
        assert len(plain) >= SHORTEST_SENTENCE or GAP in plain, sentence
        assert plain[0].isupper() or plain[0].isdigit() or plain[0] in f"{GAP}'-.", sentence
        assert "  " not in plain, sentence
        assert plain[-1] in f".?!{GAP}", sentence


def test_only_errors_that_are_passed_on_have_no_code_of_their_own() -> None:
    assert {site.place.partition(":")[0] for site in sites() if not shown(site)} <= PASSED_ON


def file_names_in(call: ast.Call) -> Iterator[str]:
    """Expressions that an error fills in and that give a file's name or path."""
    for node in ast.walk(call):
        if isinstance(node, ast.FormattedValue):
            filled = ast.unparse(node.value)
            if re.search(r"\.(name|stem|suffix|parent|parts)\b|\bpath\b|\bfilename\b", filled):
                yield filled


def test_no_error_fills_in_the_name_of_a_file_that_a_person_gave() -> None:
    found = {
        (relative(file), filled)
        for file in SOURCES
        for _, call in calls_of(parse(file))
        if isinstance(call.func, ast.Name) and call.func.id in MAKERS
        for filled in file_names_in(call)
    }
    assert {place for place in found if place not in OUR_OWN_NAMES} == set()


def test_page_shows_every_error() -> None:
    assert PAGE.read_text(encoding="utf-8") == page(), "Run: python -m tests.errors_page"
