"""Errors on their way to a person: every one typed, none with a detail of the patient or of this machine."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from types import MappingProxyType

from assistant.logs import lines_of_code
from vision.errors import Cancelled, InputRefused, ResourceError, UsageError, UserError, WeightsError

LOG = logging.getLogger(__name__)
KINDS: Mapping[str, type[UserError]] = MappingProxyType(
    {kind.__name__: kind for kind in (UserError, InputRefused, UsageError, ResourceError, WeightsError, Cancelled)}
)

GPU_IS_FULL = "OutOfMemoryError"
"""torch's, by name: the server itself never loads torch."""


def typed(error: Exception) -> UserError:
    """The error itself if a person can act on it, else one without details; the log gets its type and lines of code."""
    if isinstance(error, UserError):
        return error
    LOG.error("%s", lines_of_code(error))
    if isinstance(error, MemoryError) or type(error).__name__ == GPU_IS_FULL:
        return ResourceError("E_MEMORY", "There was not enough memory.", "Close other programs or open a smaller CT.")
    return UserError(
        "E_UNEXPECTED",
        "Something went wrong inside the program.",
        "The CT is still open: ask again, or ask for one thing at a time. The terminal shows where it failed.",
    )


def stopped() -> Cancelled:
    """What a person is told who pressed stop."""
    return Cancelled("E_CANCELLED", "Stopped.", "What was found before is kept; ask again whenever you like.")


def worker_died(*, remedy: str = "") -> ResourceError:
    """What a person is told when the process that computed is gone."""
    return ResourceError(
        "E_WORKER_DIED",
        "The work was stopped by the system, most likely for lack of memory.",
        remedy or "The CT is still open: ask again. If it happens again, ask for one thing at a time.",
    )


def packed(error: UserError) -> dict[str, str]:
    """An error as plain text, to be sent by a worker."""
    kind = next((name for name, kind in KINDS.items() if type(error) is kind), "UserError")
    return {"kind": kind, "code": error.code, "what": error.what, "remedy": error.remedy}


def unpacked(error: Mapping[str, str]) -> UserError:
    """The error that `packed` described."""
    return KINDS[error["kind"]](error["code"], error["what"], error["remedy"])
