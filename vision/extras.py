"""Packages that only some commands need: whether they are there, told before the work begins."""

from __future__ import annotations

import importlib.util

from vision.errors import UsageError

TRAIN_EXTRA = "'bodymaps-assistant[train]'"


def missing_packages(*packages: str) -> list[str]:
    """Those that are not installed. Imports none of them."""
    return [name for name in packages if importlib.util.find_spec(name) is None]


def require_packages(who: str, *packages: str, install: str = TRAIN_EXTRA) -> None:
    """Raise UsageError E_EXTRA, with `who` needs them and the command that installs them, unless all are there."""
    missing = missing_packages(*packages)
    if missing:
        raise UsageError("E_EXTRA", f"{who} needs {' and '.join(missing)}.", f"Run: pip install {install}.")
