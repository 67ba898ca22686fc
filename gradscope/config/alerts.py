"""What a finding does while the run goes on."""

from typing import Literal
from urllib.parse import urlsplit

from pydantic import Field, field_validator

from gradscope.config.settings import Settings

From = Literal["never", "note", "warning", "critical"]
"""The least severity that counts."""


class Alerts(Settings):
    """The findings of the run are looked at while it trains: they may end it, or be sent somewhere."""

    stop: From = "never"
    """Severity from which on a finding stops the run, with a checkpoint."""
    hook: str | None = None
    """Web address to which findings are sent as JSON (POST); none by default."""
    hook_from: From = "critical"
    """Severity from which on a finding is sent."""
    every: float = Field(10.0, ge=0.1, le=86_400)
    """Seconds between two looks; more where a look takes longer than a fiftieth of that and nothing new was seen."""

    @field_validator("hook")
    @classmethod
    def _hook_is_an_address(cls, value: str | None) -> str | None:
        parts = urlsplit(value or "http://nobody")
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError(f"{value!r} is no web address; write such as https://example.org/hook")
        return value or None

    @property
    def are_off(self) -> bool:
        """Whether nobody wants to hear of anything."""
        return self.stop == "never" and (self.hook is None or self.hook_from == "never")
