"""Storage Commitment: what others were promised, and what is still to be told them (PS3.4 Annex J).

::

    commitments/open/<aet>/<transaction>.json             acknowledged, and not reported yet
    commitments/done/<2 hex>/<transaction>.json           reported, or given up; its UID is never used again
    commitments/kept/<2 hex>/<study>/<transaction>-….json instances of a study that were committed

Names in the last two have the same bytes for ever, so that a backup copies them once; what is open is not in
a backup, because a copy of an archive is not the one that others wait for.

A request is durable before it is acknowledged. What is committed is durable before it is reported, and
written while nobody else commits: a delete that comes later finds it, and one that came before is seen here.
"""

from gantry.archive.blobs.files import COMMITMENTS

OPEN, DONE, KEPT = f"{COMMITMENTS}/open", f"{COMMITMENTS}/done", f"{COMMITMENTS}/kept"
