"""Verbs for those who work on the code: gen, check, test, bench, lock."""
