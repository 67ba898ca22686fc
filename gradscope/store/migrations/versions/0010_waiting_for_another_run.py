"""A queued run may wait until another is complete: a student for its teacher."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"


def upgrade() -> None:
    op.add_column("runs", sa.Column("waits_for", sa.BigInteger()))
