"""The one place where objects become part of the archive: durable, then answered, never without a row.

`committer` is the door. Behind it, each with one thing to do: `queue` brings the arrivals of many threads
together, `behind` logs what is new and makes its files and rows later, `writer` makes files and rows at once
(`stage` and `publish` its files, `placing` decides which version an arrival becomes, `rows` its rows).

**The log first.** A new instance that is small enough to be held in memory, as nearly all are, is written
into the log (`gantry.archive.log`) with all that came together with it, and is answered when that is
durable. Its file and its row are made *behind* the answer, many at a time, by a thread that lingers a moment
so that many come together. Whoever asks the archive for anything first has them made (`catch_up`), so nobody
ever sees less than what was acknowledged. All else (versions of what is known, large objects, acts,
references) has its file and row before it is answered, after all that waits.

**Group commit.** Any number of threads bring arrivals. The first to come leads: it takes everything that
waits, logs what is new or gives each object its final name, makes each folder durable once, and adds all
rows in one transaction. Then it wakes the others, whose outcomes are ready, and one of those who came
meanwhile leads the next batch. Nobody waits longer than the batch in progress and their own.

**Order.** File, name, folder sync, then index transaction, then answer (or the object's place in the log is
free). A crash between two steps leaves at most a file without a row (an orphan), never a row without a file.
A later arrival that wants the path of an orphan replaces it when the bytes are the same (its own copy is
known to be durable, the orphan's is not), and moves it to ``lost-found/`` otherwise.

**Failure.** An object that cannot be given its name is refused alone. When the index fails, it is asked what
it holds: rows that are there were committed, although the answer was lost. Without rows, the files of the
batch are removed again where the index only lacked room; otherwise they stay as orphans, because a failed
commit might still come true when the index recovers. What was answered already stays in the log and is tried
again. A failed fsync ends writing (N6): what is in the log is then made without promising anything of it, to
be readable, and made again by the next start.
"""
