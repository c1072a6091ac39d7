"""ENGINES: one row an engine; its module is imported when it is asked for."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

from vision.errors import UsageError
from vision.synthesis.tumours.protocol import Engine


def _handcrafted() -> Engine:
    from vision.synthesis.tumours.handcrafted import Handcrafted

    return Handcrafted()


def _cellular_automaton() -> Engine:
    from vision.synthesis.tumours.cellular import CellularAutomaton

    return CellularAutomaton()


ENGINES: Mapping[str, Callable[[], Engine]] = MappingProxyType(
    {"handcrafted": _handcrafted, "cellular-automaton": _cellular_automaton}
)


def make_engine(name: str) -> Engine:
    """The engine of a name. Raises UsageError E_ENGINE for a name that is not in ENGINES."""
    if name not in ENGINES:
        raise UsageError(
            "E_ENGINE", "There is no tumour engine of that name.", f"Engines: {', '.join(sorted(ENGINES))}."
        )
    return ENGINES[name]()
