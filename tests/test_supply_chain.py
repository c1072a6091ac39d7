"""What is installed beside us: minimum versions that close known advisories, and the audit that looks for new ones."""

from __future__ import annotations

import importlib.util
import re
import tomllib
from importlib.metadata import requires
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
MINIMUMS = {
    "gradio": ("6.25", "CVE-2026-28414, -28415, -28416, GHSA-j36p-7w88-g82j, open redirect of /file="),
    "pydicom": ("3.0.2", "CVE-2026-32711"),
    "torch": ("2.10", "CVE-2025-32434, CVE-2026-24747"),
    "monai": ("1.5.2", "GHSA-89gg-p5r5-q6r4, CVE-2026-21851, CVE-2025-58756"),
    "jinja2": ("3.1.6", "CVE-2025-27516"),
    "pillow": ("12.3", "CVE-2026-25990, -59197, -59199, -59205"),
}
NEVER = {
    "pynetdicom": "CVE-2026-56445; nothing here listens for DICOM",
    "dicom2nifti": "converts what the gate must judge",
    "python-gdcm": "CVE-2026-3650",
    "timm": "loads pickles",
}


def requirements() -> dict[str, str]:
    """Distribution -> its lowest version, of every group of dependencies."""
    extras = PROJECT["project"]["optional-dependencies"]
    listed = [*PROJECT["project"]["dependencies"], *(line for group in extras.values() for line in group)]
    found = (re.match(r"([A-Za-z0-9._-]+)(?:\[[\w,]+\])?(?:>=([\d.]+))?", line) for line in listed)
    return {match[1].lower(): match[2] or "0" for match in found if match}


def as_numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split("."))


@pytest.mark.parametrize("name", MINIMUMS)
def test_minimum_version_closes_the_known_advisories(name: str) -> None:
    lowest, advisories = MINIMUMS[name]
    assert as_numbers(requirements()[name]) >= as_numbers(lowest), advisories


def test_nothing_that_is_ruled_out_is_required() -> None:
    assert set(requirements()) & set(NEVER) == set()


def test_every_requirement_has_a_lowest_version() -> None:
    assert {name for name, lowest in requirements().items() if lowest == "0"} == {"bodymaps-assistant"}


def test_make_check_formats_lints_types_audits_and_tests() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    steps = makefile.partition("\ncheck:")[2].partition("\n\n")[0]
    for step in ("ruff format --check", "ruff check", "mypy", "recipes/audit.py", "pytest"):
        assert step in steps


def test_security_rules_of_ruff_are_on_outside_the_tests() -> None:
    lint = PROJECT["tool"]["ruff"]["lint"]
    assert "S" in lint["select"]
    assert [rule for rule in lint["ignore"] if rule.startswith("S")] == ["S101", "S603"]
    assert {folder for folder, rules in lint["per-file-ignores"].items() if "S" in rules} == {"tests/**"}


@pytest.fixture(scope="module")
def audit() -> ModuleType:
    spec = importlib.util.spec_from_file_location("audit", ROOT / "recipes" / "audit.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


ADVISORY = {"id": "CVE-2026-32711", "fix_versions": ["3.0.2"], "aliases": [], "description": "traversal"}


@pytest.mark.parametrize(
    ("answer", "code", "said"),
    [
        ([], 0, "nothing was audited"),
        ([{"name": "torch", "skip_reason": "not found"}], 0, "nothing was audited"),
        (
            [{"name": "numpy", "version": "2.2", "vulns": []}, {"name": "torch", "skip_reason": "not found"}],
            0,
            "no open advisory for 1 libraries; 0 accepted (recipes/audit.py says why), 1 libraries unknown there.",
        ),
        (
            [{"name": "pydicom", "version": "3.0.1", "vulns": [ADVISORY]}],
            1,
            "pydicom 3.0.1: CVE-2026-32711, fixed in 3.0.2",
        ),
        (
            [{"name": "x", "version": "1", "vulns": [{**ADVISORY, "fix_versions": []}]}],
            1,
            "fixed in no version yet",
        ),
        ([{"name": "pillow", "version": "12.3", "vulns": [{**ADVISORY, "fix_versions": ["13.0.0"]}]}], 0, "1 accepted"),
        ([{"name": "pillow", "version": "12.3", "vulns": [{**ADVISORY, "fix_versions": ["12.4"]}]}], 1, "pillow 12.3:"),
        ([{"name": "pillow", "version": "12.3", "vulns": [{**ADVISORY, "fix_versions": []}]}], 1, "pillow 12.3:"),
    ],
)
def test_audit_fails_for_an_advisory_only(
    audit: ModuleType, answer: list[dict[str, Any]], code: int, said: str
) -> None:
    judged = audit.judge(answer)
    assert judged[0] == code
    assert said in judged[1]


def test_advisories_of_pillow_are_accepted_while_gradio_forbids_its_fix_and_no_picture_is_opened(
    audit: ModuleType,
) -> None:
    assert audit.ACCEPTED == {"pillow": "13.0"}
    assert any(re.fullmatch(r"pillow.*<13\.0.*", line) for line in requires("gradio") or ())
    sources = [file for package in ("assistant", "vision", "prompts") for file in (ROOT / package).rglob("*.py")]
    texts = {file.name: file.read_text(encoding="utf-8") for file in sources}
    assert [name for name, text in texts.items() if "Image.open" in text] == []


def test_audit_asks_for_plain_versions_of_all_but_ourselves(audit: ModuleType) -> None:
    listed = audit.installed()
    assert any(line.startswith("torch==2.") for line in listed)
    assert not any("+" in line or line.startswith("bodymaps") for line in listed)
