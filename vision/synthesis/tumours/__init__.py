"""Tumours painted into real or drawn CTs, with the truth about every voxel. No torch."""
