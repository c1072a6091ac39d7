"""The page's parts and where they stand: the chat at the left, the CT at the right."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import gradio as gr

from assistant.panes import PLANES, WINDOWS_HU
from assistant.serve.page.view import EXAMPLES, HEADER, NO_CT, NO_FINDINGS, busy_html, files_html
from assistant.serve.page.viewer import NO_OVERLAY, OVERLAYS
from assistant.serve.uploads import ACCEPTED

PLACEHOLDER = "Ask about the CT, or drop a NIfTI file or a zip of DICOM here"
WELCOME = "### Open a CT, then ask\nDrop a file into the box below, or open the example CT."


@dataclass(frozen=True)
class Parts:
    """Every component that an event reads or writes. `sent` holds what was in the box, `busy` whether work goes on."""

    chat: gr.Chatbot
    busy: gr.HTML
    box: gr.MultimodalTextbox
    sent: gr.MultimodalTextbox
    example_ct: gr.Button
    examples: tuple[gr.Button, ...]
    ct_line: gr.HTML
    picture: gr.HTML
    slice_index: gr.Slider
    plane: gr.Radio
    window: gr.Radio
    overlay: gr.Radio
    go_to: gr.Dropdown
    warnings: gr.HTML
    findings: gr.HTML
    files: gr.HTML

    @property
    def view(self) -> tuple[gr.Radio, gr.Slider, gr.Radio, gr.Radio]:
        """What decides the picture."""
        return self.plane, self.slice_index, self.window, self.overlay


def lay_out() -> Parts:
    """Make the components, inside a `gr.Blocks`."""
    gr.HTML(HEADER, padding=False)
    with gr.Row(elem_id="columns"):
        with gr.Column(scale=4, min_width=360, elem_id="talk"):
            chat, busy, example_ct, examples, box, sent = _lay_out_chat()
        with gr.Column(scale=8, min_width=560, elem_id="view"):
            picture = gr.HTML(NO_CT, padding=False, elem_id="picture")
            with gr.Row(elem_id="leaf"):
                slice_index = gr.Slider(
                    0, 1, value=0, step=1, label="Slice", interactive=False, scale=4, elem_id="slice"
                )
                go_to = gr.Dropdown([], label="Go to finding", interactive=True, scale=1, min_width=170)
            with gr.Row(elem_id="controls"):
                plane, window, overlay = (_choice(names) for names in (PLANES, WINDOWS_HU, (*OVERLAYS, NO_OVERLAY)))
            files = gr.HTML(files_html({}), padding=False, elem_id="files")
            ct_line = gr.HTML("", padding=False, elem_id="ct-line")
            warnings = gr.HTML("", padding=False)
            findings = gr.HTML(NO_FINDINGS, padding=False, elem_id="findings")
    return Parts(
        chat, busy, box, sent, example_ct, examples, ct_line, picture, slice_index, plane, window, overlay, go_to,
        warnings, findings, files,
    )  # fmt: skip


def _lay_out_chat() -> tuple[
    gr.Chatbot, gr.HTML, gr.Button, tuple[gr.Button, ...], gr.MultimodalTextbox, gr.MultimodalTextbox
]:
    chat = gr.Chatbot(
        show_label=False,
        container=False,
        height=None,
        layout="bubble",
        placeholder=WELCOME,
        feedback_options=None,
        buttons=[],
        latex_delimiters=[],
        allow_tags=False,
        elem_id="chat",
    )
    busy = gr.HTML(busy_html(at_work=False), padding=False, elem_id="busy")
    with gr.Row(elem_id="examples"):
        example_ct = gr.Button("Open the example CT", variant="primary", size="sm", min_width=60)
        examples = tuple(gr.Button(question, size="sm", min_width=60) for question in EXAMPLES)
    box = gr.MultimodalTextbox(
        show_label=False,
        container=False,
        placeholder=PLACEHOLDER,
        file_types=[*ACCEPTED, ".gz"],
        file_count="single",
        sources=["upload"],
        max_plain_text_length=4000,
        autofocus=True,
        stop_btn=True,
        elem_id="box",
    )
    sent = gr.MultimodalTextbox(file_count="single", visible="hidden")
    return chat, busy, example_ct, examples, box, sent


def _choice(names: Iterable[str]) -> gr.Radio:
    words = [name.capitalize() for name in names]
    return gr.Radio(words, value=words[0], show_label=False, container=False, min_width=120, elem_classes="choice")
