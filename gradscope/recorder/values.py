"""What people hand to `init` and `log`, made into what a store can hold."""

import argparse
import dataclasses
import math
import numbers
from collections.abc import Mapping
from typing import Any

from torch import Tensor

from gradscope.errors import RecorderError
from gradscope.recorder.measure import Transfer

LONGEST_NAME = 200


def plain_config(config: Mapping[str, Any] | argparse.Namespace | object | None) -> dict[str, Any]:
    """A configuration as plain JSON values; whatever has no JSON form is kept as its text.

    Args:
        config: a mapping, an `argparse.Namespace`, a dataclass, anything with `model_dump()` (pydantic), or None.

    Raises:
        RecorderError: it is none of these.
    """
    if config is None:
        return {}
    if isinstance(config, argparse.Namespace):
        config = vars(config)
    elif dataclasses.is_dataclass(config) and not isinstance(config, type):
        config = dataclasses.asdict(config)
    elif hasattr(config, "model_dump"):
        config = config.model_dump()
    if not isinstance(config, Mapping):
        raise RecorderError(f"config is a {type(config).__name__}; give a mapping such as {{'lr': 0.1}} or a Namespace")
    return {str(key): _plain(value) for key, value in config.items()}


def _plain(value: object) -> object:
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, numbers.Real):
        number = float(value)
        return number if math.isfinite(number) else str(number)
    if isinstance(value, Mapping):
        return {str(key): _plain(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_plain(inner) for inner in value]
    return str(value)


Number = float | Transfer
"""A number, or one that is still on its way from a device."""


def number(name: object, value: object) -> Number:
    """One value of `run.log`, read without making a device wait. NaN and infinities are numbers.

    Raises:
        RecorderError: the name is no text, or the value is no single number; the message names both.
    """
    if not isinstance(name, str) or not 0 < len(name) <= LONGEST_NAME:
        raise RecorderError(
            f"log() was given the name {name!r}; a curve's name is text of 1 to {LONGEST_NAME} characters"
        )
    if isinstance(value, Tensor):
        if value.numel() != 1 or value.is_complex():
            raise RecorderError(f"log({name!r}) was given a tensor of shape {tuple(value.shape)}; log a single number")
        value = value.detach()
        return Transfer(value.reshape(())) if value.is_cuda else float(value)
    if isinstance(value, numbers.Real) or _is_numpy_number(value):
        return float(value)  # type: ignore[arg-type]  # numpy's float16 and such are no numbers.Real to mypy
    raise RecorderError(f"log({name!r}) was given {value!r}, a {type(value).__name__}; log a single number")


def _is_numpy_number(value: object) -> bool:
    return getattr(value, "shape", None) == () and getattr(getattr(value, "dtype", None), "kind", "") in "biuf"
