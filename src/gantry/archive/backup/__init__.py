"""Copies of an archive that outlive it: taken while it works, each a point that one can go back to.

::

    TARGET/gantry-backup.json                        says what this folder is
    TARGET/files/<2 hex>/<digests>.dcm, .json        what was copied, named by its digest, once each
    TARGET/points/00000003-20260101T120000Z.jsonl.gz one backup: all that was there, and which file it is
    TARGET/incoming/                                 being copied; wiped by the next run
    TARGET/lost-found/                               files of ours that were found cut short, set aside

**A point** is what the archive had acknowledged at one moment: commits pause for it as long as it takes to
list the acts (`gantry.archive.backup.listing`), after all that the log held has its files and rows. What is
listed is durable and never changes, so it is copied afterwards, while the archive goes on. Each file is held
against the digests that the index has known since it came: rot is found, and never copied.

**Incremental by name.** A file that is there under its digest is not copied again; nothing that is there is
written over or removed. What was copied before an interruption is found by the next run in the same way.

**No index.** It is derived: what makes it anew (objects, acts, the journal's lines) is in the point, and
`restore` makes it, so that a damaged index is never what one goes back to. Nor is the log copied: what it
held has files by then. Drafts are no objects; they are copied as they are found.
"""
