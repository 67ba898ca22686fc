"""The form of a Hugging Face image parquet: which columns it has, and its class names. No torch."""

import json

import pyarrow as pa

from gradscope.errors import DataError

IMAGE_COLUMNS = ("img", "image")
LABEL_COLUMNS = ("label", "fine_label", "labels")


def image_column(schema: pa.Schema, name: str) -> str:
    """The column of encoded pictures: `img` or `image`, a struct with `bytes`, or plain bytes."""
    found = next((c for c in IMAGE_COLUMNS if c in schema.names), None)
    if found is None:
        raise DataError(
            f"{name} has no picture column ({' or '.join(IMAGE_COLUMNS)}), only {', '.join(schema.names)}; "
            "a table of numbers cannot be read as pictures: store encoded pictures, or, if these are range-Doppler "
            "matrices, take rdrd:PATH"
        )
    kind = schema.field(found).type
    is_struct = pa.types.is_struct(kind) and kind.get_field_index("bytes") >= 0
    if not (is_struct or pa.types.is_binary(kind) or pa.types.is_large_binary(kind)):
        raise DataError(f"column {found} of {name} holds {kind}; it must hold encoded pictures as struct<bytes, path>")
    return found


def label_column(schema: pa.Schema, wanted: str | None, name: str) -> str:
    """The column of labels: the wanted one, or the first of label, fine_label, labels."""
    candidates = (wanted,) if wanted else LABEL_COLUMNS
    found = next((c for c in candidates if c in schema.names), None)
    if found is None:
        raise DataError(
            f"{name} has no label column ({' or '.join(candidates)}), only {', '.join(schema.names)}; "
            "name it by data.label"
        )
    if not pa.types.is_integer(schema.field(found).type):
        raise DataError(
            f"column {found} of {name} holds {schema.field(found).type}; labels must be whole numbers from 0"
        )
    return found


def class_names(schema: pa.Schema, label: str, name: str) -> tuple[str, ...] | None:
    """The names that the schema's `huggingface` metadata gives to a label column; None where it gives none."""
    text = (schema.metadata or {}).get(b"huggingface")
    if text is None:
        return None
    try:
        names = json.loads(text).get("info", {}).get("features", {}).get(label, {}).get("names")
    except (ValueError, AttributeError) as error:
        raise DataError(f"the huggingface metadata of {name} are no JSON of the usual form; write it again") from error
    return tuple(str(n) for n in names) if names else None


def encoded(column: pa.Array) -> list[bytes | None]:
    """The picture files of a column."""
    contents = column.field("bytes") if pa.types.is_struct(column.type) else column
    found: list[bytes | None] = contents.to_pylist()
    return found
