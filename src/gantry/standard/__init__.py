"""What the standard tabulates: transfer syntaxes, SOP classes, status codes, query keys, the dictionary.

Tables and look-ups only; nothing here decides anything. Each table names the edition it was taken from.
"""
