"""Edits: what one person changes at one time for a reason, on many objects, all or none.

Bytes are never changed. An edit makes new versions: objects with other attributes, or hides, or shows
again. Where a Study Instance UID changes, the version is one of another instance (`InstanceKey`), and the
former one is hidden by the same act. `model` says what can be asked for, `attributes` what may be changed,
`plan` which objects that concerns and what becomes of each, `build` makes their bytes, `editor` does it and
undoes it.

**All or none.** The new objects are written and made durable first, under temporary names, while everybody
else may write. Then, alone: the act, durable, names every object that is to be, with its digest; the
objects get their names; one transaction of the index tells of all of it. A crash before that transaction
leaves an act that the index does not know: the next start takes its objects out again (`take_back`). An
index made anew from the folder takes an edit for done only where all of its objects are there, or the
journal says so.

**Undoing** is an edit of its own, made of what each entry says was visible before.
"""
