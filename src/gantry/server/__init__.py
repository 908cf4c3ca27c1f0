"""Answers others: DICOM associations, DICOMweb, the page."""
