"""Measurements on images: their model, and Structured Reports of TID 1500 written of them and read."""
