"""Speeds, measured beside the peers in one run, printed as ratios. Start with `make bench`."""
