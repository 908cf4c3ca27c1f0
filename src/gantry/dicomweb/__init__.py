"""DICOMweb as values: requests parsed, answers formed, no socket and no storage (PS3.18).

What comes from a client (a path, a query string, a header, a body in chunks) goes in as text or
bytes; frozen values come out, or a `WebRequestError` that carries the HTTP status to answer with.
The files are named after what PS3.18 names: `qido` searches, `wado` retrieves, `stow` stores,
`wado_uri` is the older single-object service, `accept` chooses a representation, `multipart` is
the framing of multipart/related, `ranges` holds byte ranges and entity tags.
"""
