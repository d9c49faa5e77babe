"""What follows from spec/codes.json is what stands in the repository."""

import importlib.util
import json
from pathlib import Path
from types import ModuleType

import pytest

from tidings.core import codes

ROOT = Path(__file__).resolve().parents[2]
SPEC = json.loads((ROOT / "spec" / "codes.json").read_text(encoding="utf-8"))


def load_tool() -> ModuleType:
    spec = importlib.util.spec_from_file_location("generate_codes", ROOT / "tools" / "generate_codes.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


TOOL = load_tool()
GENERATED: dict[Path, str] = TOOL.generated(SPEC)


@pytest.mark.parametrize("path", GENERATED, ids=lambda path: path.name)
def test_generated_file_follows_the_list(path: Path) -> None:
    assert path.read_text(encoding="utf-8") == GENERATED[path], "run tools/generate_codes.py"


def test_drift_is_seen() -> None:
    changed = json.loads(json.dumps(SPEC))
    changed["errors"][0]["sentence"] = "Another."
    assert all(TOOL.generated(changed)[path] != text for path, text in GENERATED.items())


def test_every_error_code_says_what_the_list_says() -> None:
    said = [{"code": c.value, "sentence": c.sentence, "fault": c.fault, "retry": c.retry} for c in codes.ErrorCode]
    assert said == SPEC["errors"]


def test_every_close_code_says_what_the_list_says() -> None:
    said = [
        {"code": c.value, "name": c.name.lower(), "sentence": c.sentence, "retry": c.retry} for c in codes.CloseCode
    ]
    assert said == SPEC["closes"]


def test_every_reason_says_what_the_list_says() -> None:
    for reasons, key in ((codes.UnrecoveredReason, "unrecovered"), (codes.UnsubscribedReason, "unsubscribed")):
        assert [{"reason": r.value, "sentence": r.sentence} for r in reasons] == SPEC[key]
