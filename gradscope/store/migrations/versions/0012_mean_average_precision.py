"""Runs on pictures with several labels are judged by mean average precision instead of accuracy."""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"


def upgrade() -> None:
    for name in ("val_map", "best_val_map", "test_map"):
        op.add_column("runs", sa.Column(name, sa.Double()))
