"""Stored values to a picture: each step has its file, `render` puts them in order."""
