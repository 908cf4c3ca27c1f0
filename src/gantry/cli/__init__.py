"""The command `gantry`: one file per command; reads settings, builds the parts, runs them."""
