"""DICOM: our own inventory of files and slices, their geometry by highdicom, their stored values."""
