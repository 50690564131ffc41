"""Two packages of one name, measured by the same questions.

What lives here: a program for each, which runs in an environment of its own (`ours`, `peer`), and
how both are asked (`asking`). What must not: imports from one to the other, or of `benchmarks` by
the peer's: it would find the wrong package.
"""
