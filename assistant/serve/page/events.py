"""What happens on the page: each event finds its session, calls the desk and shows what came back."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gradio as gr

from assistant.records import Finding
from assistant.serve.desk import Desk
from assistant.serve.failures import typed
from assistant.serve.guard.guard import VISITOR_HEADER
from assistant.serve.page import viewer
from assistant.serve.page.layout import Parts
from assistant.serve.page.view import busy_html, ct_line, error_text, files_html, findings_html, said, warnings_html
from assistant.serve.sessions import Session, Sessions
from vision.errors import UserError
from vision.structures import by_name

Update = dict[Any, Any]
QUIET: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private", "concurrency_limit": None}
"""No event waits for another in Gradio's queue: what is limited is limited by the line in front of the device."""
HAND_OVER = "(message) => [message, {text: '', files: []}]"
"""In the browser: what is in the box is sent, and the box is empty for the next question."""


@dataclass(frozen=True)
class Events:
    """The handlers; `wire` ties them to the parts. None keeps anything: all state is in the sessions."""

    desk: Desk
    sessions: Sessions
    parts: Parts

    def start(self, request: gr.Request) -> None:
        """A tab opened the page: a session of its own."""
        try:
            self.sessions.start(_tab(request), visitor=_visitor(request), owner=_owner(request))
        except UserError as error:
            raise _toast(error) from None

    def talk(self, message: Any, request: gr.Request) -> Iterator[Update]:
        """A question, a file, or both were sent."""
        upload = Path(message["files"][0]).name if message["files"] else None
        question = message["text"] or ""
        yield from self._show(request, lambda session: self.desk.talk(session, question, upload))

    def ask_example(self, question: str, request: gr.Request) -> Iterator[Update]:
        """An example question was clicked."""
        yield from self._show(request, lambda session: self.desk.talk(session, question, None))

    def open_example(self, request: gr.Request) -> Iterator[Update]:
        """The example CT was asked for."""
        yield from self._show(request, self.desk.open_example)

    def choose(self, choice: gr.SelectData, request: gr.Request) -> Iterator[Update]:
        """One of the ways to open an upload was chosen."""
        value = str(choice.value)
        yield from self._show(request, lambda session: self.desk.choose(session, value))

    def stop(self, request: gr.Request) -> None:
        """The stop button was pressed."""
        self._session(request).stop.set()

    def move(self, plane: str, index: int, window: str, overlay: str, request: gr.Request) -> str:
        """The slice, the window or the masks changed."""
        session = self._session(request)
        try:
            place = viewer.plane_of(plane)
            return viewer.picture(session.conversation, plane=place, index=index, window=window, overlay=overlay)
        except UserError as error:
            raise _toast(error) from None

    def go_to(self, finding: str | None, plane: str, request: gr.Request) -> Any:
        """A finding, or another plane, was chosen: the slice that shows it best."""
        session = self._session(request)
        if session.conversation is None:
            return gr.skip()
        chosen = [known for known in session.conversation.findings if known.id == finding]
        return _slider(session, chosen or _latest(session), plane)

    def _session(self, request: gr.Request) -> Session:
        try:
            return self.sessions.get(_tab(request), visitor=_visitor(request), owner=_owner(request))
        except UserError as error:
            raise _toast(error) from None

    def panel(self, plane: str, request: gr.Request) -> Update:
        """An answer, a refusal or another CT came: everything beside the chat, unless it is shown already."""
        parts, session = self.parts, self._session(request)
        conversation, latest = session.conversation, (session.conversation, len(session.answers))
        if session.shown == latest:
            return {parts.ct_line: gr.skip()}
        session.shown = latest
        findings = () if conversation is None else conversation.findings
        warnings = [warning for answer in session.answers for warning in answer.warnings]
        notices = [] if conversation is None else list(conversation.ct.warnings)
        shown = [(f"{by_name(finding.structure).spoken} ({finding.id})", finding.id) for finding in findings]
        return {
            parts.ct_line: "" if conversation is None else ct_line(conversation.ct),
            parts.slice_index: _slider(session, _latest(session), plane),
            parts.go_to: gr.Dropdown(choices=shown, value=None),
            parts.warnings: warnings_html([*notices, *warnings]),
            parts.findings: findings_html(findings),
            parts.files: files_html({name: token for token, (_, name) in session.results.items()}),
        }

    def _show(self, request: gr.Request, work: Callable[[Session], Iterator[None]]) -> Iterator[Update]:
        """Do the work and show the chat as it grows. A toast says that other work goes on, which is left alone."""
        parts = self.parts
        try:
            session = self.sessions.get(_tab(request), visitor=_visitor(request), owner=_owner(request))
        except UserError as error:
            yield {parts.chat: [said(error_text(error))], parts.busy: busy_html(at_work=False)}
            return
        try:
            for _ in work(session):
                yield {parts.chat: list(session.messages), parts.busy: busy_html(at_work=True)}
        except UserError as error:
            raise _toast(error) from None
        except Exception as error:  # Gradio would print it with all its words
            session.messages.append(said(error_text(typed(error))))
        yield {parts.chat: list(session.messages), parts.busy: busy_html(at_work=session.busy.locked())}

    def wire(self) -> None:
        """Tie every event to its handler, inside the `gr.Blocks`."""
        parts = self.parts
        # Gradio rebuilds each output whose properties change or that an event leaves alone, which takes longer than all
        # else: a talk has few outputs and gives each its value; the others follow.
        talk = [parts.chat, parts.busy]
        beside = [parts.ct_line, parts.slice_index, parts.go_to, parts.warnings, parts.findings, parts.files]
        running = [
            parts.box.submit(None, parts.box, [parts.sent, parts.box], js=HAND_OVER, **QUIET).then(
                self.talk, parts.sent, talk, **QUIET
            ),
            parts.example_ct.click(self.open_example, None, talk, **QUIET),
            parts.chat.option_select(self.choose, None, talk, **QUIET),
        ]
        running += [button.click(self.ask_example, button, talk, **QUIET) for button in parts.examples]
        view = list(parts.view)
        for done in running:
            shown = done.then(self.panel, parts.plane, beside, **QUIET)
            shown.then(self.move, view, parts.picture, **QUIET)
        parts.box.stop(self.stop, None, None, **QUIET)
        for change in (parts.slice_index.input, parts.window.change, parts.overlay.change):
            change(self.move, view, parts.picture, trigger_mode="always_last", **QUIET)
        for choice in (parts.go_to.input, parts.plane.change):
            moved = choice(self.go_to, [parts.go_to, parts.plane], parts.slice_index, **QUIET)
            moved.then(self.move, view, parts.picture, **QUIET)


def _tab(request: gr.Request) -> str:
    return str(request.session_hash)


def _visitor(request: gr.Request) -> str:
    return str(request.headers.get(VISITOR_HEADER, ""))


def _owner(request: gr.Request) -> str:
    return request.username or ""


def _toast(error: UserError) -> gr.Error:
    """An error that shows at the edge of the page."""
    return gr.Error(f"{error.what} {error.remedy}", title=error.code, print_exception=False)


def _latest(session: Session) -> tuple[Finding, ...]:
    """The findings of the latest answer, else all so far."""
    if session.answers and session.answers[-1].findings:
        return session.answers[-1].findings
    return () if session.conversation is None else session.conversation.findings


def _slider(session: Session, findings: Any, plane: str) -> Any:
    place = viewer.plane_of(plane)
    conversation = session.conversation
    return gr.Slider(
        minimum=0,
        maximum=viewer.slice_range(conversation, place),
        value=viewer.first_slice(conversation, findings, place),
        interactive=conversation is not None,
    )
