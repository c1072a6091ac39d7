"""Ask the package registry whether an installed library has a known security advisory: python recipes/audit.py

Exit code 1 for an advisory. Where the registry's advisory service cannot be reached, that is said and nothing fails.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from importlib.metadata import distributions
from pathlib import Path
from typing import Any

from packaging.version import Version

OURSELVES = "bodymaps-assistant"
ACCEPTED = {"pillow": "13.0"}
"""Library -> the version that a fix may need without failing. gradio forbids Pillow 13, which mends its decoders and
TIFF; here it draws our own pictures and writes them as PNG, and opens none. tests/test_supply_chain.py holds both."""

LONGEST_SECONDS = 300


def installed() -> list[str]:
    """name==version of every installed library; '+cpu' and the like fall away, as advisories do not know them."""
    known = {dist.name: dist.version.partition("+")[0] for dist in distributions() if dist.name != OURSELVES}
    return [f"{name}=={version}" for name, version in sorted(known.items())]


def ask_registry(requirements: Sequence[str]) -> list[dict[str, Any]]:
    """pip-audit's answer, one object a library; empty when it has none."""
    with tempfile.TemporaryDirectory() as folder:
        listed = Path(folder) / "requirements.txt"
        listed.write_text("\n".join(requirements) + "\n", encoding="utf-8")
        command = [sys.executable, "-m", "pip_audit", "--requirement", str(listed), "--no-deps", "--disable-pip"]
        command += ["--format", "json", "--progress-spinner", "off", "--timeout", "10"]
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=LONGEST_SECONDS, check=False)
            return list(json.loads(done.stdout)["dependencies"])
        except (subprocess.TimeoutExpired, ValueError, KeyError):
            return []


def judge(answer: Sequence[Mapping[str, Any]]) -> tuple[int, str]:
    """(exit code, what to say) for an answer of the registry."""
    audited = [row for row in answer if "vulns" in row]
    found = [(row, advisory) for row in audited for advisory in row["vulns"]]
    open_ones = [
        f"{row['name']} {row['version']}: {one['id']}, fixed in {', '.join(one['fix_versions']) or 'no version yet'}"
        for row, one in found
        if not is_accepted(str(row["name"]), one["fix_versions"])
    ]
    if open_ones:
        return 1, "\n".join(["Known security advisories:", *open_ones])
    if not audited:
        return 0, "pip-audit: no advisory service can be reached from here, so nothing was audited."
    rest = f"{len(found)} accepted (recipes/audit.py says why), {len(answer) - len(audited)} libraries unknown there"
    return 0, f"pip-audit: no open advisory for {len(audited)} libraries; {rest}."


def is_accepted(name: str, fixes: Sequence[str]) -> bool:
    """Whether every fix of an advisory needs a version that ACCEPTED says cannot be installed yet."""
    first = ACCEPTED.get(name.lower())
    return first is not None and bool(fixes) and all(Version(fix) >= Version(first) for fix in fixes)


if __name__ == "__main__":
    code, said = judge(ask_registry(installed()))
    print(said, file=sys.stderr)
    sys.exit(code)
