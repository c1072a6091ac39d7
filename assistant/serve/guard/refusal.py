"""A request that is refused: the status, and the same code, cause and remedy as any other error."""

from __future__ import annotations

from starlette.responses import PlainTextResponse, Response


class Refused(Exception):
    """Ends a request. `wait_seconds` says when it makes sense to come again."""

    def __init__(self, status: int, code: str, what: str, remedy: str, *, wait_seconds: float | None = None) -> None:
        super().__init__(f"{code}: {what} {remedy}")
        self.status = status
        self.wait_seconds = wait_seconds

    def response(self) -> Response:
        """The answer to the browser."""
        headers = {} if self.wait_seconds is None else {"Retry-After": str(max(1, round(self.wait_seconds)))}
        return PlainTextResponse(str(self), self.status, headers)


def not_found() -> Refused:
    """The answer to everything that the page does not need, and to what is somebody else's."""
    return Refused(404, "E_NOT_FOUND", "There is nothing here.", "Go back to the chat.")


def slow_down(seconds: float) -> Refused:
    """The answer to whoever sends too much."""
    return Refused(429, "E_RATE", "That was too much at once.", "Wait a little.", wait_seconds=seconds)
