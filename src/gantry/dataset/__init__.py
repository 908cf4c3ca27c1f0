"""Bytes and Data Sets: scanning, Part 10 files, character sets, encoding (PS3.5, PS3.10).

`scan` gives a view over bytes; what is made or changed in memory is in the DICOM JSON model (PS3.18 F.2).
"""
