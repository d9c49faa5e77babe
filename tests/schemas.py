"""The schemas of ``spec/``, for the tests that hold what goes over a wire to them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator
from referencing import Registry, Resource

SPEC = Path(__file__).resolve().parents[1] / "spec"


def schema(file: str, name: str) -> Draft202012Validator:
    """The validator of one definition, such as ``schema("event", "received")``."""
    files = {path.name: json.loads(path.read_text(encoding="utf-8")) for path in SPEC.glob("*.schema.json")}
    registry: Registry[Any] = Registry().with_resources(
        (file_name, Resource.from_contents(content)) for file_name, content in files.items()
    )
    return Draft202012Validator({"$ref": f"{file}.schema.json#/$defs/{name}"}, registry=registry)
