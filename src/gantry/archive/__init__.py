"""The archive: keeps objects for good and finds them again (PS3.4 B, C; PS3.18 10)."""
