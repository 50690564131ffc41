"""`jupyterhub-usage-quotas doctor`: it diagnoses a deployment and suggests fixes.

What lives here: the deployment, findings, and the checks in their order; each check is in
`checks/`, and says what it found. What must not: printing (that is `commands/doctor.py`), and
whatever the Hub needs, too. Every check is explained in docs/how-to/troubleshooting.md under its
name.
"""
