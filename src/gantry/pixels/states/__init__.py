"""Softcopy presentation states: read, applied to images, and made pictures of (PS3.3 A.33, PS3.4 N)."""
