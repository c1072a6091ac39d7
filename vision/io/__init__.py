"""The one gate for files: a CT comes in through `load_ct`, masks go out through `write_mask`. numpy only on import."""

from vision.io.dicom_series import SeriesInfo
from vision.io.load import inventory, load_ct
from vision.io.refusal import LIMITS, Limits

__all__ = ["LIMITS", "Limits", "SeriesInfo", "inventory", "load_ct"]
