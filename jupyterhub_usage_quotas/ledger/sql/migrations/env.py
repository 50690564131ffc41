"""What alembic runs for every command: with the connection that our opener made."""

from __future__ import annotations

from alembic import context

from jupyterhub_usage_quotas.ledger.sql.schema import METADATA, VERSION_TABLE

if hasattr(context, "config"):  # alembic runs this; whoever imports all modules has no command
    context.configure(
        connection=context.config.attributes["connection"],
        target_metadata=METADATA,
        version_table=VERSION_TABLE,
    )
    context.run_migrations()
