"""Ports for servers that tests start."""

import socket

from gradscope.serve import ADDRESS


def any_port() -> int:
    """One that is free now, of the kernel's choice: tests that count up from one number meet each other there."""
    with socket.socket() as probe:
        probe.bind((ADDRESS, 0))
        return int(probe.getsockname()[1])
