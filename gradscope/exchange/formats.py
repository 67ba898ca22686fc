"""What a run can be written as."""

from enum import StrEnum


class Format(StrEnum):
    """What `gradscope export --to` knows."""

    TENSORBOARD = "tensorboard"
    CSV = "csv"
    PARQUET = "parquet"
