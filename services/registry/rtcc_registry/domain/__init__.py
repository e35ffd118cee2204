"""The rules about who and what exists. Records are the contract's own messages; nothing here does I/O or asks for the time.

Each `checked_*` returns a normalised copy or raises InvalidInput naming every field that is wrong.
"""
