"""Trying policies on the past: who would have been denied or stopped, and which limits would have
denied few.

What lives here: the walk through time of what was used, and what is counted on the way; pure, as
all rules are. What must not: how usage counts in a window, or how a launch is decided (those are
the windows' and `decide`'s: the same code as in the Hub), reading usage, or printing.

Assumed: **usage as it was**. What a denied launch used is not taken away, and nobody who was
stopped or denied does anything else; so of those who go on using, what comes after their first
denial is more than it would have been. `without_denied` takes away what each denied launch used,
and assumes that nobody tries again; what servers used after they would have been stopped still
counts.

Groups, and adjustments, are those of today; voided adjustments never were. What other servers keep
for their minimum session is not set aside.
"""
