"""Answer: what a person is told, the record behind it, and the masks beside it."""

from __future__ import annotations

import io
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from assistant.records import AnswerRecord, Finding, Report, WarningRecord
from vision.geometry import CTVolume, Mask


@dataclass(frozen=True)
class Answer:
    """One reply. `masks` holds the mask of every finding that has one, by finding id, on the CT's own grid."""

    record: AnswerRecord
    masks: Mapping[str, Mask]
    ct: CTVolume

    @property
    def text(self) -> str:
        """The verified words."""
        return self.record.text

    @property
    def findings(self) -> tuple[Finding, ...]:
        """What the reply rests on."""
        return self.record.findings

    @property
    def report(self) -> Report | None:
        """The structured report, when one was asked for."""
        return self.record.report

    @property
    def warnings(self) -> tuple[WarningRecord, ...]:
        """What to know about the CT before believing anything."""
        return self.record.warnings

    def without_times(self) -> Answer:
        """The same answer with nothing in its record that another run would measure differently."""
        return replace(self, record=self.record.without_times())

    def save(self, folder: Path) -> Path:
        """Put the answer's files into a folder, in place of an earlier answer's; returns the folder.

        They are answer.json, masks/<structure>.nii.gz, combined_labels.nii.gz with combined_labels.json, preview.png
        and report.md. Killed at any moment it leaves the earlier answer whole, the new one whole, or no answer.json.
        Raises UsageError E_OUT_OCCUPIED for a folder that keeps other files under these names, and ResourceError
        E_DISK or E_OUTPUT.
        """
        from assistant.answer_files import replace_answer

        folder = Path(folder)
        replace_answer(folder, self.write_files)
        return folder

    def write_files(self, folder: Path) -> AnswerRecord:
        """Write the answer's files into a new or empty folder; returns the record as written, with its mask files.

        Without a mask there is neither label map nor picture. Raises ResourceError E_DISK or E_OUTPUT.
        """
        from assistant.preview import render_preview
        from assistant.report import report_markdown
        from vision.io import write_bytes, write_label_map, write_mask, write_text

        files = mask_files(self.findings, self.masks)
        for finding_id, name in files.items():
            write_mask(self.masks[finding_id], folder / name)
        if files:
            write_label_map([self.masks[finding_id] for finding_id in files], folder / "combined_labels.nii.gz")
            picture = io.BytesIO()
            shown = {finding_id: self.masks[finding_id] for finding_id in files}
            render_preview(self.ct, shown, self.findings).save(picture, "PNG")
            write_bytes(folder / "preview.png", picture.getvalue())
        findings = tuple(
            finding.model_copy(update={"mask_file": files.get(finding.id)}) for finding in self.record.findings
        )
        record = self.record.model_copy(update={"findings": findings})
        if record.report is not None:
            write_text(folder / "report.md", report_markdown(record))
        write_text(folder / "answer.json", record.model_dump_json(indent=1))
        return record


def mask_files(findings: tuple[Finding, ...], masks: Mapping[str, Mask]) -> dict[str, str]:
    """File of each finding's mask, relative to the answer's folder: <structure>, numbered where there are several."""
    named: dict[str, str] = {}
    used: dict[str, int] = {}
    for finding in findings:
        if finding.id in masks:
            used[finding.structure] = used.get(finding.structure, 0) + 1
            number = f"_{used[finding.structure]}" if used[finding.structure] > 1 else ""
            named[finding.id] = f"masks/{finding.structure}{number}.nii.gz"
    return named
