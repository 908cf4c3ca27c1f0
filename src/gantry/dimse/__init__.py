"""The wire: DICOM associations and DIMSE messages as values and state machines (PS3.7, PS3.8).

Nothing in this room opens a socket, reads a clock or waits. Bytes and the time come in, events and
bytes to write go out:

    reader        received bytes → PDU headers, whole PDUs, pieces of P-DATA
    fsm           PS3.8 Table 9-10 as data: (state, event) → action, action → effects
    exchange      pieces of P-DATA → DIMSE messages; the ledger of outstanding operations
    pdata         a DIMSE message → P-DATA-TF PDUs, without copying the Data Set
    negotiation   an A-ASSOCIATE-RQ and a policy → the answer
    association   all of these together, for either side

`gantry.client.wire` carries an `Association` over asyncio.
"""
