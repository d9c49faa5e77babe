"""docs/settings.md says what the code says."""

from __future__ import annotations

import importlib.util
from dataclasses import fields
from pathlib import Path
from types import ModuleType

from tidings.core.limits import Limits
from tidings.settings import Settings

ROOT = Path(__file__).resolve().parents[2]


def load_tool() -> ModuleType:
    spec = importlib.util.spec_from_file_location("generate_settings", ROOT / "tools" / "generate_settings.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


TOOL = load_tool()


def test_the_page_follows_the_code() -> None:
    assert (ROOT / "docs" / "settings.md").read_text(encoding="utf-8") == TOOL.page(), "run tools/generate_settings.py"


def test_every_setting_and_every_limit_has_a_row_and_a_meaning() -> None:
    page = TOOL.page()
    for name, field in Settings.model_fields.items():
        assert field.description, f"setting {name} has no description"
        assert name == "limits" or f"| `{name}` | `TIDINGS_{name.upper()}` |" in page
    for limit in fields(Limits):
        assert TOOL.reasons()[limit.name], f"limit {limit.name} has no reason beside it in core/limits.py"
        assert f"| `TIDINGS_LIMIT_{limit.name.upper()}` | {limit.default:,} |" in page
