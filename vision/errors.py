"""Errors that a person can act on: a code, what is wrong, where, and what to do."""

from __future__ import annotations


class UserError(Exception):
    """A problem that the person at the keyboard can fix; shown as it is, without a traceback.

    `code` is stable and machine-readable (`E_TRUNCATED`), `what` says what is wrong and where,
    `remedy` says what to do next, `exit_code` is what the command line ends with.
    """

    exit_code = 3

    def __init__(self, code: str, what: str, remedy: str) -> None:
        super().__init__(f"{code}: {what} {remedy}")
        self.code = code
        self.what = what
        self.remedy = remedy


class InputRefused(UserError):
    """A file, archive or folder that cannot be opened as a CT without guessing."""

    exit_code = 3


class UsageError(UserError):
    """A call, flag or name that does not exist or contradicts another."""

    exit_code = 2


class ResourceError(UserError):
    """Not enough memory, disk or time for what was asked."""

    exit_code = 5


class WeightsError(UserError):
    """Model weights that are missing, damaged or of another network."""

    exit_code = 6


class Cancelled(UserError):
    """The person stopped the work; nothing half-done was kept."""

    exit_code = 130
