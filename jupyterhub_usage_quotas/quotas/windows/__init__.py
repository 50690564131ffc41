"""Windows: how usage is held against a limit. Each kind has a file: rolling, calendar, refill; and
gauge, for what is there now.

What lives here: whatever differs from one kind of window to another; `base` says what each must
answer. What must not: how limits are combined or launches decided. Nothing outside tells windows
apart; a new kind is a file here, and a line in `policy/limits.py` that registers it.
"""
