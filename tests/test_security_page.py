"""SECURITY.md promises only what a test shows, and prints the limits that are in the code."""

from __future__ import annotations

import ast
import re
from pathlib import Path
from pkgutil import resolve_name

import pytest

from tests.sources import ROOT

PAGE = (ROOT / "SECURITY.md").read_text(encoding="utf-8")
NAMED = sorted(set(re.findall(r"`(tests/[\w/]+\.py)::(test_\w+)`", PAGE)))
PROMISES = re.findall(r"^- .*?(?=^- |^#|\Z)", PAGE.partition("## Promises")[2].partition("## Limits")[0], re.M | re.S)
LIMITS = re.findall(r"^\| ([^|]+) \| ([\d.]+) ?(\w*) \| `([\w.:]+)` \|$", PAGE, re.M)
UNITS = {"": 1, "GiB": 1 << 30, "MiB": 1 << 20, "min": 60, "h": 3600, "s": 1, "times": 1, "characters": 1}


@pytest.mark.parametrize(("file", "name"), NAMED)
def test_test_that_a_promise_names_exists(file: str, name: str) -> None:
    tree = ast.parse((ROOT / file).read_text(encoding="utf-8"))
    assert name in {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}


@pytest.mark.parametrize("promise", PROMISES, ids=lambda promise: " ".join(promise.split()[1:6]))
def test_promise_names_a_test(promise: str) -> None:
    assert "::test_" in promise


def test_page_has_promises_limits_what_is_not_promised_and_where_to_report() -> None:
    assert len(PROMISES) >= 15
    assert len(LIMITS) >= 9
    assert re.findall("^## (.*)$", PAGE, re.M) == ["Promises", "Limits", "Not promised", "Report a problem"]


@pytest.mark.parametrize(("what", "number", "unit", "place"), LIMITS)
def test_limit_is_the_one_in_the_code(what: str, number: str, unit: str, place: str) -> None:
    assert resolve_name(place) == float(number) * UNITS[unit], what


def test_every_line_of_the_table_is_compared() -> None:
    table = PAGE.partition("## Limits")[2].partition("## Not")[0]
    assert len([line for line in table.splitlines() if line.startswith("| ")]) == len(LIMITS) + 1


def test_slow_tests_are_marked_as_such() -> None:
    for file, name in NAMED:
        tree = ast.parse(Path(ROOT / file).read_text(encoding="utf-8"))
        found = next(node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name == name)
        slow = any(ast.unparse(decorator) == "pytest.mark.slow" for decorator in found.decorator_list)
        assert (f"`{file}::{name}` (slow)" in PAGE) == slow, name
