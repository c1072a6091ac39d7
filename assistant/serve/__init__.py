"""The chat page in the browser. Importing this is light; `launch` loads Gradio."""

from __future__ import annotations

from typing import TYPE_CHECKING

from assistant.plan import Planner
from assistant.serve.settings import DEFAULTS, ServerSettings
from vision.segmenter import Segmenter

if TYPE_CHECKING:
    from assistant.language.llms.memory import Quantisation

__all__ = ["ServerSettings", "launch"]


def launch(
    *,
    host: str = "127.0.0.1",
    port: int = 7860,
    auth: tuple[str, str] | None = None,
    segmenter: Segmenter | None = None,
    planner: Planner | None = None,
    settings: ServerSettings = DEFAULTS,
    model: str | None = None,
    llm: str | None = None,
    quantisation: Quantisation = "none",
) -> None:
    """Serve the page until the process is stopped. `auth` is (name, password), needed wherever others can connect.

    `model` names the installed model that segments, where it is not the shipped one; `llm` and `quantisation` choose
    the language model that plans, as in `assistant.api.named_planner`. Every open CT holds one of its own.

    Each CT is answered about in a process of its own; a segmenter or planner that is given as an object answers in
    threads of this process instead, and a crash of it ends the chat. Everything that was uploaded is removed at the
    end. Raises UsageError for a port that is taken, and for a host that others can reach without `auth`, or with an
    empty name or password; WeightsError for an unknown model.
    """
    from assistant.serve.start import serve_chat

    serve_chat(
        host=host,
        port=port,
        auth=auth,
        segmenter=segmenter,
        planner=planner,
        settings=settings,
        model=model,
        llm=llm,
        quantisation=quantisation,
    )
