"""A form made from the settings classes: a new setting appears on the page without a line here."""

import re
import types
from collections.abc import Callable
from typing import Any, Literal, Union, get_args, get_origin

import annotated_types
import streamlit as st
from pydantic.fields import FieldInfo

from gradscope.config import CHOICES, RunConfig, Settings, method_classes

EASY = {
    *("data.path", "data.limit", "model.depth", "model.width", "model.activation", "model.variant", "model.residual"),
    *("optimizer.lr", "optimizer.momentum", "train.epochs", "train.batch_size", "train.seed"),
}
"""Shown at once; every other setting is folded under Advanced."""

TITLES = {
    "data": "Data",
    "model": "Model",
    "optimizer": "Optimiser",
    "schedule": "Schedule",
    "train": "Training",
    "record": "Recording",
    "alerts": "Alerts",
}

Assignments = dict[str, Any]  # Any: whatever a setting may be


def first_sentence(text: str) -> str:
    """Of a docstring; the full stop of `et al.` does not end one.

    >>> first_sentence("A network (He et al. 2016), of blocks. More.")
    'A network (He et al. 2016), of blocks.'
    """
    return re.split(r"(?<!al)[.]\s", f"{text} ")[0].strip().rstrip(".") + "."


class Form:
    """Widgets for every setting of a config; `values` are what `gradscope.overrides.with_overrides` takes.

    Each writes what was changed into the address, so that a form that was filled in outlives a reload.

    Args:
        base: the config whose values stand in the form at first.
        prefix: of the widgets' keys; another prefix is another form with its own first values.
    """

    def __init__(self, base: RunConfig, prefix: str) -> None:
        self._base = base
        self._prefix = prefix
        self.values: Assignments = {}

    def easy(self) -> None:
        """The settings most people change, in four columns."""
        for column, section in zip(st.columns(4), ("data", "model", "optimizer", "train"), strict=True):
            with column:
                st.markdown(
                    f"**{section.capitalize().replace('Optimizer', 'Optimiser').replace('Train', 'Training')}**"
                )
                self._choose(section)
                self._fields(section, easy=True)
        self._choose_methods()

    def advanced(self) -> None:
        """Every other setting."""
        columns = st.columns(3)
        for i, section in enumerate(TITLES):
            with columns[i % 3], st.container(border=True):
                st.markdown(f"**{TITLES[section]}**")
                if section == "schedule":
                    self._choose(section)
                self._fields(section, easy=False)
        for name in self._methods():
            cls = method_classes()[name]
            if len(cls.model_fields) > 1:
                with st.container(border=True):
                    st.markdown(f"**{name}**", help=cls.__doc__)
                    for column, field in zip(st.columns(3), _fields_of(cls), strict=False):
                        with column:
                            self._field(f"methods.{name}", cls, field, self._method_value(name, cls, field))

    def paths(self) -> list[str]:
        """Every setting in the form that a grid may run over, by dotted name."""
        return [p for p in self.values if not (p.startswith("methods.") and p.count(".") == 1)]

    def _choose(self, section: str) -> None:
        if section not in CHOICES:
            return
        names, now = list(CHOICES[section]()), getattr(self._base, section).name
        key = f"{self._prefix}.{section}"
        name = st.selectbox(
            section, names, index=names.index(now), key=key, bind="query-params", label_visibility="collapsed"
        )
        st.caption(first_sentence(CHOICES[section]()[name].__doc__ or ""))
        self.values[f"{section}.name"] = name

    def _class(self, section: str) -> type[Settings]:
        if section in CHOICES:
            return CHOICES[section]()[self.values[f"{section}.name"].partition(":")[0]]
        return type(getattr(self._base, section))

    def _fields(self, section: str, *, easy: bool) -> None:
        cls, now = self._class(section), getattr(self._base, section)
        for field in _fields_of(cls):
            if (f"{section}.{field}" in EASY) is easy:
                first = getattr(now, field) if isinstance(now, cls) else cls.model_fields[field].default
                self._field(section, cls, field, first)
        path = self.values.pop("data.path", None) if section == "data" else None
        if path:
            self.values["data.name"] = f"{self.values['data.name']}:{path}"

    def _field(self, section: str, cls: type[Settings], field: str, first: Any) -> None:  # Any: the field's value
        key = f"{self._prefix}.{section}.{cls.model_fields.get('name', cls.model_fields[field]).default}.{field}"
        value = _widget(field, cls.model_fields[field], first, key)
        if value != "" or field != "path":
            self.values[f"{section}.{field}"] = value

    def _methods(self) -> list[str]:
        return [name for name in method_classes() if self.values.get(f"methods.{name}")]

    def _choose_methods(self) -> None:
        names = list(method_classes())
        now = [m.name for m in self._base.methods]
        picked = st.pills(
            "Methods",
            names,
            selection_mode="multi",
            default=now,
            key=f"{self._prefix}.methods",
            bind="query-params",
            help=_all_methods(),
            wrap=True,
        )
        for name in names:
            self.values[f"methods.{name}"] = name in (picked or [])

    def _method_value(self, name: str, cls: type[Settings], field: str) -> Any:  # Any: the field's value
        own = next((m for m in self._base.methods if m.name == name), None)
        return getattr(own, field) if own else cls.model_fields[field].default


def _all_methods() -> str:
    return "\n".join(f"- **{name}**: {cls.__doc__}" for name, cls in method_classes().items())


def _fields_of(cls: type[Settings]) -> list[str]:
    return [name for name in cls.model_fields if name != "name"]


def _widget(name: str, field: FieldInfo, first: Any, key: str) -> Any:  # Any: the field's value
    inner, as_text = _simple(field.annotation)
    label, text = name.replace("_", " "), field.description
    if as_text or get_origin(inner) is tuple:
        return _text(label, inner, first, key, text)
    if get_origin(inner) is Literal:
        options = list(get_args(inner))
        return st.selectbox(label, options, index=options.index(first), key=key, bind="query-params", help=text)
    return _WIDGETS[inner](label, field, first, key, text)


def _simple(annotation: Any) -> tuple[Any, bool]:  # Any: a type as written
    """The type, or the first of several, and whether it takes a text because there are several, or nothing at all."""
    if get_origin(annotation) in {Union, types.UnionType}:
        return next(a for a in get_args(annotation) if a is not type(None)), True
    return annotation, False


def _text(label: str, inner: Any, first: Any, key: str, text: str | None) -> Any:  # Any: as above
    shown = "" if first is None else ", ".join(map(str, first)) if isinstance(first, tuple) else str(first)
    given = st.text_input(label, shown, key=key, bind="query-params", help=text, placeholder="default").strip()
    if get_origin(inner) is tuple:
        return [part.strip() for part in given.split(",") if part.strip()]
    return given or None


def _bound(field: FieldInfo, kind: type, attribute: str) -> Any:  # Any: int or float
    return next((getattr(m, attribute) for m in field.metadata if isinstance(m, kind)), None)


def _whole(label: str, field: FieldInfo, first: int, key: str, text: str | None) -> int:
    low, high = _bound(field, annotated_types.Ge, "ge"), _bound(field, annotated_types.Le, "le")
    return int(st.number_input(label, low, high, first, 1, key=key, bind="query-params", help=text))


def _real(label: str, field: FieldInfo, first: float, key: str, text: str | None) -> str:
    # a text: number fields round what has many digits, and 1e-4 is how people write a learning rate
    return st.text_input(label, f"{first:g}", key=key, bind="query-params", help=text).strip()


def _flag(label: str, field: FieldInfo, first: bool, key: str, text: str | None) -> bool:
    return st.checkbox(label, first, key=key, bind="query-params", help=text)


def _line(label: str, field: FieldInfo, first: str, key: str, text: str | None) -> str:
    return st.text_input(label, first, key=key, bind="query-params", help=text).strip()


# Any: each takes and gives its own type
_WIDGETS: dict[type, Callable[..., Any]] = {bool: _flag, int: _whole, float: _real, str: _line}
