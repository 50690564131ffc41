"""The admin's configuration: the traits that all processes share, and their validation.

What lives here: the options, a file for each topic; how files are read (`files/`), how what is in
them is checked (`checks/`), and weekly budgets (`weekly/`). What must not: enforcement, and what a
running Hub or service does.
"""
