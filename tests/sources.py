"""Our own source files as syntax trees, for the tests that read rules off them."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ("assistant", "prompts", "vision")
SOURCES = sorted([*ROOT.glob("app.py"), *(file for package in PACKAGES for file in (ROOT / package).rglob("*.py"))])


def relative(file: Path) -> str:
    return file.relative_to(ROOT).as_posix()


def imported(tree: ast.Module, file: Path) -> Iterator[tuple[int, str]]:
    """(line, absolute module name) of every import in a file, nested ones too."""
    package = file.relative_to(ROOT).parent.parts
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = package[: len(package) - node.level + 1] if node.level else ()
            base = ".".join([*above, node.module] if node.module else above)
            yield from ((node.lineno, f"{base}.{alias.name}") for alias in node.names)


def is_inside(name: str, module: str) -> bool:
    return name == module or name.startswith(f"{module}.")


def lives_in(file: Path, homes: tuple[str, ...]) -> bool:
    return any(relative(file) == home or relative(file).startswith(f"{home}/") for home in homes)


def parse(file: Path) -> ast.Module:
    return ast.parse(file.read_text(encoding="utf-8"), filename=str(file))
