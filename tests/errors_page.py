"""docs/errors.md from the source: every error a person can meet. Run: python -m tests.errors_page"""

from __future__ import annotations

import ast
import itertools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache

from tests.sources import ROOT, SOURCES, parse, relative
from vision import errors

PAGE = ROOT / "docs" / "errors.md"
GAP = "\u2026"
"""Stands for what only a running program knows: a number, a name of ours."""
KINDS = {name: kind for name, kind in vars(errors).items() if isinstance(kind, type)}
MAKERS = {**dict.fromkeys(KINDS, (0, 1, 2)), "refusing": (0, 1, 2)}
"""What makes an error -> the places of code, what and remedy among its arguments."""
DEEPEST = 4
HEAD = """# Errors

Every error that a person can meet: its code, which is stable and safe to test for, what is wrong, and what to do. A dot
triple stands for a number or a name that the program fills in; no error quotes a file, its name or its path. On the
command line an error ends with its exit code: 2 usage, 3 input refused, 5 resources, 6 weights, 130 stopped by you, 1
anything else. This page is written by `python -m tests.errors_page`.

| code | exit | what is wrong | what to do |
|---|---|---|---|
"""


@dataclass(frozen=True)
class ErrorSite:
    """One way in which one line of code can fail; `code`, `what` and `remedy` as a person reads them."""

    place: str
    kind: str
    code: str
    what: str
    remedy: str

    @property
    def exit_code(self) -> int:
        """What the command line ends with."""
        return KINDS["InputRefused" if self.kind == "refusing" else self.kind].exit_code


@dataclass(frozen=True)
class Scope:
    """Where a text is read: the module, and the function around it."""

    module: ast.Module
    function: ast.FunctionDef | None


@cache
def sites() -> tuple[ErrorSite, ...]:
    """Every error of run-time code, in the order of the files."""
    return tuple(site for file in SOURCES for site in _sites_in(parse(file), relative(file)))


def _sites_in(module: ast.Module, name: str) -> Iterator[ErrorSite]:
    for function, node in calls_of(module):
        kind = node.func.id if isinstance(node.func, ast.Name) else ""
        if kind not in MAKERS or (kind == "UserError" and name == "vision/errors.py"):
            continue
        scope = Scope(module, function)
        arguments = [_argument(node, place, key) for place, key in enumerate(("code", "what", "remedy"))]
        texts = [_texts(argument, scope, 0) for argument in arguments]
        texts[2] = texts[2] if arguments[2] is not None else [_constants().get("EXPORT_AGAIN", "")]
        for code, what, remedy in itertools.product(*texts):
            # `refusing` ends the sentence itself, with the class of what a library raised.
            yield ErrorSite(f"{name}:{node.lineno}", kind, code, f"{what}." if kind == "refusing" else what, remedy)


def calls_of(module: ast.Module) -> Iterator[tuple[ast.FunctionDef | None, ast.Call]]:
    """(innermost function, call) of every call."""
    pending: list[tuple[ast.FunctionDef | None, ast.AST]] = [(None, module)]
    while pending:
        function, node = pending.pop(0)
        if isinstance(node, ast.Call):
            yield function, node
        inner = node if isinstance(node, ast.FunctionDef) else function
        pending += [(inner, child) for child in ast.iter_child_nodes(node)]


def _argument(call: ast.Call, place: int, key: str) -> ast.expr | None:
    named = next((keyword.value for keyword in call.keywords if keyword.arg == key), None)
    return call.args[place] if place < len(call.args) else named


def _texts(node: ast.expr | None, scope: Scope, depth: int) -> list[str]:
    """The texts that an expression can be, GAP where that is not known."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return [node.value]
    if depth > DEEPEST or node is None:
        return [GAP]
    if isinstance(node, ast.IfExp):
        return [*_texts(node.body, scope, depth), *_texts(node.orelse, scope, depth)]
    if isinstance(node, ast.BoolOp):
        return [text for value in node.values for text in _texts(value, scope, depth)]
    if isinstance(node, ast.BinOp):
        return _joined([_texts(side, scope, depth) for side in (node.left, node.right)])
    if isinstance(node, ast.JoinedStr):
        return _joined([_texts(value, scope, depth) for value in node.values])
    if isinstance(node, ast.FormattedValue):
        plain = node.conversion == -1 and node.format_spec is None
        return _texts(node.value, scope, depth) if plain else [GAP]
    if isinstance(node, ast.Name):
        return list(_named(node.id, scope, depth)) or [GAP]
    return [GAP]


def _joined(parts: list[list[str]]) -> list[str]:
    return ["".join(pieces) for pieces in itertools.islice(itertools.product(*parts), 40)]


def _named(name: str, scope: Scope, depth: int) -> Iterator[str]:
    """The texts of a name: what the function assigns to it, what its callers pass, or a constant."""
    function = scope.function
    if function is None:
        yield from [_constants()[name]] if name in _constants() else []
        return
    assigned = [
        node.value
        for node in ast.walk(function)
        if isinstance(node, ast.Assign) and any(isinstance(t, ast.Name) and t.id == name for t in node.targets)
    ]
    for value in assigned:
        yield from _texts(value, scope, depth + 1)
    parameters = [argument.arg for argument in (*function.args.posonlyargs, *function.args.args)]
    parameters += [argument.arg for argument in function.args.kwonlyargs]
    if name in parameters:
        for caller, call in calls_of(scope.module):
            if isinstance(call.func, ast.Name) and call.func.id == function.name:
                value = _argument(call, parameters.index(name), name)
                if value is not None:
                    yield from _texts(value, Scope(scope.module, caller), depth + 1)
    elif not assigned and name in _constants():
        yield _constants()[name]


@cache
def _constants() -> Mapping[str, str]:
    """Upper-case names that one module sets to one text."""
    found: dict[str, str] = {}
    for node in (node for file in SOURCES for node in parse(file).body):
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            name, value = node.targets[0].id, node.value
            if name.isupper() and isinstance(value, ast.Constant) and isinstance(value.value, str):
                found[name] = value.value
    return found


def page() -> str:
    """The whole page: each code with every pair of what is wrong and what to do, once."""
    rows = {(site.code, site.exit_code, _cell(site.what), _cell(site.remedy)) for site in sites() if shown(site)}
    return HEAD + "".join(f"| `{code}` | {ends} | {what} | {to_do} |\n" for code, ends, what, to_do in sorted(rows))


def shown(site: ErrorSite) -> bool:
    """Whether its code is written out; an error that only passes another one on has none of its own."""
    return site.code != GAP


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|").replace("<", "&lt;") or GAP


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
