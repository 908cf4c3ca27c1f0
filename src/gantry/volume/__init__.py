"""Frames to volumes: where each frame lies in the patient, and which of them stack up. Pure."""
