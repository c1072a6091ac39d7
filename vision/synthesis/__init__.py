"""CTs that nobody scanned: from label maps, with the truth about every voxel."""
