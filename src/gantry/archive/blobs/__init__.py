"""Where bytes lie: `files` keeps objects as plain Part 10 files in a folder."""
