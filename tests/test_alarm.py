"""Alerts: a finding stops the run or is sent to a web address, and a dead address harms nothing."""

import json
import logging
import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn
from torch.nn import functional

import gradscope
from gradscope import alarm, jobs
from gradscope.alarm import ATTEMPTS, Guard
from gradscope.analysis.findings import Thresholds
from gradscope.config import Alerts, RunConfig
from gradscope.errors import ConfigError
from gradscope.overrides import with_overrides
from gradscope.presets import PRESETS
from gradscope.recorder.session import Session
from gradscope.records import Status
from gradscope.store import open_store, read
from gradscope.train import train


class Inbox(HTTPServer):
    """Keeps what is posted to it."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Keeping)
        self.got: list[dict[str, Any]] = []

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/hook?token=secret"


class _Keeping(BaseHTTPRequestHandler):
    server: Inbox

    def do_POST(self) -> None:
        self.server.got.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
        self.send_response(204)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Nobody reads it."""


@pytest.fixture
def inbox(monkeypatch: pytest.MonkeyPatch) -> Iterator[Inbox]:
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    server = Inbox()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def ill(tmp_path: Path) -> Iterator[Session]:
    """A run in progress whose gradient vanishes."""
    run = gradscope.init("ill", store=tmp_path / "runs.db")
    train_sigmoid(run)
    yield run
    run.finish()


def train_sigmoid(run: Session, steps: int = 30) -> None:
    torch.manual_seed(0)
    parts = [part for _ in range(9) for part in (nn.Linear(16, 16), nn.Sigmoid())]
    model = nn.Sequential(*parts, nn.Linear(16, 4))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    images, labels = torch.randn(64, 16), torch.randint(4, (64,))
    run.progress(total_steps=steps)
    run.watch(model, optimizer, log="all", every=2)
    for _ in range(steps):
        optimizer.zero_grad()
        loss = functional.cross_entropy(model(images), labels)
        loss.backward()
        optimizer.step()
        run.log({"train_loss": loss})
    run.unwatch()
    run.flush()


def guarded(run: Session, **settings: Any) -> Guard:
    """A guard that was there from the beginning, whose thread does not run."""
    made = Guard(run, run.store, Alerts(**settings))
    made._done.clear()
    return made


def test_what_was_seen_once_is_looked_at_again_soon_however_much_a_look_costs(ill: Session) -> None:
    guard = guarded(ill, stop="critical", every=1)
    assert guard.pause(0.5) == 25
    guard.look()
    assert guard.pause(0.5) == 1
    guard.look()
    assert ill.stop_requested
    assert guard.pause(0.5) == 25


def test_a_finding_that_is_there_twice_in_a_row_stops_the_run_and_says_why(ill: Session) -> None:
    guard = guarded(ill, stop="critical")
    guard.look()
    assert not ill.stop_requested
    guard.look()
    assert ill.stop_requested
    ill.finish(Status.STOPPED)
    assert read.run(ill.store, ill.id).error.startswith("stopped by an alert: The gradient vanishes from")


def test_what_was_there_before_the_guard_came_alerts_nobody(ill: Session) -> None:
    late = Guard(ill, ill.store, Alerts(stop="note"))
    late.look()
    late.look()
    assert not ill.stop_requested


def test_a_finding_below_the_severity_stops_nothing(ill: Session) -> None:
    guard = guarded(ill, stop="critical")
    guard._limits = Thresholds(vanishing_decades=4.0)
    guard.look()
    guard.look()
    assert not ill.stop_requested


def test_each_finding_is_sent_once(ill: Session, inbox: Inbox) -> None:
    guard = guarded(ill, hook=inbox.address, hook_from="warning")
    for _ in range(4):
        guard.look()
    assert [told["finding"]["name"] for told in inbox.got] == ["vanishing_gradient"]
    assert inbox.got[0]["text"].startswith(f"run {ill.id} (ill): The gradient vanishes from")
    assert (inbox.got[0]["run"], inbox.got[0]["step"]) == (ill.id, 29)
    assert not ill.stop_requested


def test_the_end_of_a_run_sends_what_was_seen_but_once(tmp_path: Path, inbox: Inbox) -> None:
    with gradscope.init("short", store=tmp_path / "runs.db") as run:
        assert gradscope.guard(run, gradscope.Alerts(hook=inbox.address, every=3600)) is not None
        train_sigmoid(run)
    assert [told["finding"]["name"] for told in inbox.got] == ["vanishing_gradient"]


def test_a_dead_address_is_told_a_few_times_and_harms_nothing(ill: Session, caplog: pytest.LogCaptureFixture) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    guard = guarded(ill, stop="critical", hook=f"http://127.0.0.1:{port}/secret")
    with caplog.at_level(logging.WARNING, "gradscope"):
        for _ in range(ATTEMPTS + 3):
            guard.look()
    told = [r.getMessage() for r in caplog.records]
    assert len(told) == ATTEMPTS
    assert f"could not be sent to http://127.0.0.1:{port} (" in told[0]
    assert "secret" not in told[0]
    assert ill.stop_requested, "a dead address does not keep the run from being stopped"


def test_a_run_that_cannot_be_read_is_told_once(ill: Session, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    empty = open_store(tmp_path / "empty.db", create=True)
    with caplog.at_level(logging.WARNING, "gradscope"):
        guard = Guard(ill, empty, Alerts(stop="critical"))
        guard.look()
        guard.look()
    told = [r.getMessage() for r in caplog.records]
    assert len(told) == 1
    assert told[0].startswith(f"the findings of run {ill.id} cannot be looked at (run {ill.id} is not in the store")
    assert told[0].endswith("training goes on")
    empty.close()


def test_nothing_is_looked_at_where_nothing_is_to_be_done(ill: Session) -> None:
    assert gradscope.guard(ill, Alerts(hook_from="warning")) is None
    assert gradscope.guard(gradscope.init(mode="disabled"), Alerts(stop="warning")) is None


def test_a_training_stops_by_its_own_alert_and_goes_on_when_it_is_resumed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(alarm, "MOST_SHARE", 1.0)
    store = open_store(tmp_path / "runs.db", create=True)
    changes = {"data.limit": 200, "model.width": 8, "train.epochs": 2000, "train.device": "cpu"}
    config = with_overrides(PRESETS["sigmoid"].config, {**changes, "alerts.stop": "critical", "alerts.every": 0.1})
    run_id = jobs.create(store, config, "sigmoid", status=Status.RUNNING)
    assert train(store, run_id) is Status.STOPPED
    run = read.run(store, run_id)
    assert run.error.startswith("stopped by an alert: The gradient vanishes")
    assert run.progress.last_step < run.progress.total_steps - 1
    again = Session.attach(store, run_id)
    resumed = Guard(again, store, config.alerts)
    resumed.look()
    resumed.look()
    assert not again.stop_requested
    again.finish(Status.STOPPED)
    store.close()


@pytest.mark.parametrize("hook", ["ftp://example.org", "example.org/hook", "http://"])
def test_an_address_that_is_none_is_refused(hook: str) -> None:
    with pytest.raises(ConfigError, match="is no web address; write such as https:"):
        with_overrides(RunConfig(), {"alerts.hook": hook})
