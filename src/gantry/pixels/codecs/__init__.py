"""Codecs by family: transfer syntaxes to functions that decode and encode one frame. Look-up is in
`registry`."""
