"""A run looked after while it trains: findings of a chosen severity stop it, or are sent to a web address."""

import json
import logging
import threading
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from http.client import HTTPException
from urllib.error import URLError
from urllib.parse import urlsplit
from urllib.request import Request, urlopen

from sqlalchemy.exc import SQLAlchemyError

from gradscope.analysis.findings import Finding, Severity, Thresholds
from gradscope.config import Alerts
from gradscope.diagnosis import diagnose_run
from gradscope.errors import StoreError
from gradscope.recorder.session import Session
from gradscope.store import Store, read

MOST_SHARE = 0.02
"""Of the time, that looking may take."""
HOOK_SECONDS = 5.0
ATTEMPTS = 3
"""A finding is sent so often before it is given up."""
PATIENCE_SECONDS = 2 * HOOK_SECONDS
"""How long the end of a run waits for its last alerts."""
SEEN_BEFORE_ACTING = 2
"""Looks in a row at which a finding must be there: what passes is no reason to act."""

_log = logging.getLogger("gradscope")


def guard(run: Session, alerts: Alerts, limits: Thresholds | None = None) -> "Guard | None":
    """Look after a run until it ends, in a thread of its own.

        gradscope.guard(run, gradscope.Alerts(stop="critical", hook="https://example.org/hook"))

    A loop of somebody's own has to look at `run.stop_requested` after each step. What was found before, as in the
    earlier life of a run that was resumed, alerts nobody.

    Args:
        run: from `gradscope.init`.
        alerts: what is to be done, from which severity on.
        limits: where findings begin.

    Returns:
        None where there is nothing to do, or nothing is recorded by this process.
    """
    if alerts.are_off or run.store is None:
        return None
    made = Guard(run, run.store, alerts, limits)
    made.start()
    run.before_end(made.close)
    return made


@dataclass(frozen=True, kw_only=True)
class _Ranks:
    stop: int
    hook: int

    @classmethod
    def of(cls, alerts: Alerts) -> "_Ranks":
        never = len(Severity)
        ranks = {"never": never, **{str(s): s.rank for s in Severity}}
        return cls(stop=ranks[alerts.stop], hook=ranks[alerts.hook_from] if alerts.hook else never)


class Guard(threading.Thread):
    """Reads the run's records from its store now and then; nothing it does or fails to do touches the training."""

    def __init__(self, run: Session, store: Store, alerts: Alerts, limits: Thresholds | None = None) -> None:
        super().__init__(name="gradscope-guard", daemon=True)
        self._run, self._store, self._alerts, self._limits = run, store, alerts, limits
        self._ranks = _Ranks.of(alerts)
        self._ended = threading.Event()
        self._seen: Counter[str] = Counter()
        """Looks in a row at which each finding was there."""
        self._done: set[str] = set()
        """Findings that were acted on, or were there before."""
        self._attempts: Counter[str] = Counter()
        self._warned = False
        self._done |= {f.name for f in self._findings()}

    def run(self) -> None:
        """Look until the run ends, and once more then."""
        pause = self._alerts.every
        while not self._ended.wait(pause):
            began = time.thread_time()
            self.look()
            pause = self.pause(time.thread_time() - began)
        self.look(last=True)

    def pause(self, cost: float) -> float:
        """Seconds until the next look, after one that took `cost` seconds of a core.

        What was seen for the first time is looked at again as soon as was asked for: else a costly look would have a
        run that is to be stopped go on for twice fifty times as long.
        """
        waits = any(self._seen[name] < SEEN_BEFORE_ACTING for name in self._seen.keys() - self._done)
        return self._alerts.every if waits else max(self._alerts.every, cost / MOST_SHARE)

    def close(self) -> None:
        """The run ends: look for the last time, and wait a moment for what is to be sent."""
        if self.is_alive():
            self._run.flush(HOOK_SECONDS)
            self._ended.set()
            self.join(PATIENCE_SECONDS)

    def look(self, *, last: bool = False) -> None:
        """Act on what is there for the second time in a row; at the end on what is there at all."""
        findings = {f.name: f for f in self._findings() if f.until is None}
        self._seen = Counter({name: self._seen[name] + 1 for name in findings})
        for name, finding in findings.items():
            if name not in self._done and (last or self._seen[name] >= SEEN_BEFORE_ACTING):
                self._act(finding, last=last)

    def _act(self, finding: Finding, *, last: bool) -> None:
        if finding.severity.rank >= self._ranks.stop and not last:
            self._run.request_stop(f"stopped by an alert: {finding.text}")
        if finding.severity.rank < self._ranks.hook or self._send(finding):
            self._done.add(finding.name)

    def _findings(self) -> Sequence[Finding]:
        try:
            return diagnose_run(self._store, self._run.id, self._limits)
        except (StoreError, SQLAlchemyError) as error:
            self._warn(
                f"the findings of run {self._run.id} cannot be looked at ({getattr(error, 'orig', None) or error})"
            )
        except Exception:  # a mistake of ours costs this look, and nothing else
            _log.exception("the findings of run %d could not be looked at", self._run.id)
        return ()

    def _send(self, finding: Finding) -> bool:
        """Whether the finding need not be sent again."""
        address = self._alerts.hook or ""
        self._attempts[finding.name] += 1
        try:
            with urlopen(self._request(address, finding), timeout=HOOK_SECONDS):
                return True
        except (URLError, HTTPException, OSError, ValueError) as error:
            tries = self._attempts[finding.name]
            _log.warning(
                "run %d: the finding %s could not be sent to %s (%s), attempt %d of %d; training goes on",
                *(self._run.id, finding.name, _host(address), error, tries, ATTEMPTS),
            )
            return tries >= ATTEMPTS

    def _request(self, address: str, finding: Finding) -> Request:
        run = read.run(self._store, self._run.id)
        told = {
            "text": f"run {run.id} ({run.name}): {finding.text}",
            "run": run.id,
            "name": run.name,
            "store": self._store.shown,
            "step": run.progress.last_step,
            "finding": finding.as_json(),
        }
        return Request(address, json.dumps(told).encode(), {"Content-Type": "application/json"}, method="POST")

    def _warn(self, text: str) -> None:
        if not self._warned:
            self._warned = True
            _log.warning("%s; training goes on", text)


def _host(address: str) -> str:
    """Without the path and the query, which may hold a secret."""
    parts = urlsplit(address)
    return f"{parts.scheme}://{parts.hostname}{f':{parts.port}' if parts.port else ''}"
