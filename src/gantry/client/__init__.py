"""Calls others: SCU verbs over DIMSE (`scu`), DICOMweb (`web`), and both without `await` (`sync`).

wire         one association over TCP, for callers and for `server`
connection   an association that we requested
requests     our requests that wait for answers; `receiving` takes C-STORE, `sending` does it
objects      what is sent; `sinks` take what is received
"""
