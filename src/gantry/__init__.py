"""Gantry: an imaging archive, network node, DICOMweb server, viewer and toolkit for DICOM."""

__version__ = "0.1.0"
