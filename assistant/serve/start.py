"""Starting the chat so that nobody else can reach it, and ending it without a trace."""

from __future__ import annotations

import socket
import sys
from contextlib import suppress
from typing import TYPE_CHECKING

import uvicorn

from assistant.api import DEFAULT_MODEL
from assistant.logs import install_clean_logs
from assistant.plan import Planner
from assistant.serve.guard.connections import Connection
from assistant.serve.guard.origins import is_loopback
from assistant.serve.settings import DEFAULTS, ServerSettings
from assistant.serve.site import Site
from assistant.serve.workers.engine import engine_of
from vision.errors import UsageError
from vision.segmenter import Segmenter

if TYPE_CHECKING:
    from assistant.language.llms.memory import Quantisation

ENDS_WITHIN_SECONDS = 3
MOST_OPEN_FILES = 65_536
"""No more are asked for, even where the system knows no limit."""
SHARE_FOR_CONNECTIONS = 4
"""One of so many of the files that may be open is a connection that is answered; the rest is for CTs and workers."""


def serve_chat(
    *,
    host: str,
    port: int,
    auth: tuple[str, str] | None,
    segmenter: Segmenter | None = None,
    planner: Planner | None = None,
    settings: ServerSettings = DEFAULTS,
    model: str | None = None,
    llm: str | None = None,
    quantisation: Quantisation = "none",
) -> None:
    """See `assistant.serve.launch`."""
    install_clean_logs()
    require_safe(host, auth)
    require_free(host, port)
    engine = engine_of(model or DEFAULT_MODEL, llm=llm, quantisation=quantisation)
    leave_no_core()
    site = Site(
        settings=settings,
        auth=auth,
        only_loopback=is_loopback(host),
        segmenter=segmenter,
        planner=planner,
        engine=engine,
    )
    try:
        site.warm()
        address = f"[{host.strip('[]')}]" if ":" in host else host
        print(f"The chat is at http://{address}:{port}  (Ctrl+C stops it)", file=sys.stderr)
        print(settings.printed(site.budget.total), file=sys.stderr)
        Server(site, host, port).run()
    except KeyboardInterrupt:
        pass
    finally:
        site.close()


class Server(uvicorn.Server):
    """Serves a site. At the end it hangs up on the tabs first, which would keep it waiting."""

    def __init__(self, site: Site, host: str, port: int) -> None:
        self._site = site
        super().__init__(
            uvicorn.Config(
                site.app,
                host=host.strip("[]"),
                port=port,
                log_level="warning",
                access_log=False,
                ws="none",
                server_header=False,
                timeout_graceful_shutdown=ENDS_WITHIN_SECONDS,
                http=Connection,
                limit_concurrency=min(8 * site.settings.visitors, most_open_files() // SHARE_FOR_CONNECTIONS),
            )
        )

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Stop serving."""
        self._site.app.close()
        await super().shutdown(sockets)


def require_free(host: str, port: int) -> None:
    """Refuse a port that another program serves, or an address that this machine does not have."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        with socket.create_server((host.strip("[]"), port), family=family):
            return
    except OSError:
        raise UsageError("E_PORT", f"{host}:{port} cannot be served from.", "Choose another with --port.") from None


def require_safe(host: str, auth: tuple[str, str] | None) -> None:
    """Refuse to serve CTs to others without a password."""
    if auth is not None and not all(auth):
        raise UsageError("E_AUTH", "The name or the password is empty.", "Give --auth NAME:PASSWORD.")
    if auth is None and not is_loopback(host):
        raise UsageError(
            "E_AUTH", f"On {host} anybody could open the CTs.", "Add --auth NAME:PASSWORD or use --host 127.0.0.1."
        )


def most_open_files() -> int:
    """Raise the number of files that this process may have open as far as it may, and return it."""
    if sys.platform == "win32":
        return MOST_OPEN_FILES
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = MOST_OPEN_FILES if hard == resource.RLIM_INFINITY else min(hard, MOST_OPEN_FILES)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        with suppress(OSError, ValueError):  # some systems allow less than they say
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
            soft = wanted
    return MOST_OPEN_FILES if soft == resource.RLIM_INFINITY else soft


def leave_no_core() -> None:
    """A crash of this process writes no memory to the disk."""
    if sys.platform != "win32":
        import resource

        resource.setrlimit(resource.RLIMIT_CORE, (0, resource.getrlimit(resource.RLIMIT_CORE)[1]))
