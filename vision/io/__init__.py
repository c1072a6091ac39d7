"""The one gate for files: a CT comes in through `load_ct`, masks go out through `write_mask`.

numpy only on import; nibabel, pydicom and highdicom load on first use.
"""

from vision.io.apart import series_info
from vision.io.body import REGIONS
from vision.io.choices import ASK, Choices
from vision.io.describe import describe_ct
from vision.io.dicom.choice import series_table
from vision.io.dicom.series import SeriesInfo
from vision.io.files.atomic import write_atomically, write_bytes, write_text
from vision.io.labels import load_integers, load_labels
from vision.io.load import inventory, load_ct
from vision.io.refusal import LIMITS, Limits
from vision.io.write import write_ct, write_label_map, write_mask

__all__ = [
    "ASK",
    "LIMITS",
    "REGIONS",
    "Choices",
    "Limits",
    "SeriesInfo",
    "describe_ct",
    "inventory",
    "load_ct",
    "load_integers",
    "load_labels",
    "series_info",
    "series_table",
    "write_atomically",
    "write_bytes",
    "write_ct",
    "write_label_map",
    "write_mask",
    "write_text",
]
