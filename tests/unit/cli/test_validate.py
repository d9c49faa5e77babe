"""`tidings validate`: what it finds, what it prints, and that the command of the npm package prints the same."""

import base64
import json
import os
import pty
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec
import pytest
import typer
from typer.testing import CliRunner

from tidings.cli.validate import lines_of, to_json, validate
from tidings.core.fault import shown
from tidings.core.json_text import JsonFault, read_json
from tidings.core.validator import Report, validate_bytes, validate_event, validate_text

ROOT = Path(__file__).resolve().parents[3]
EVENTS: dict[str, Any] = json.loads((ROOT / "spec" / "vectors" / "events.json").read_text(encoding="utf-8"))
GOOD = {
    "topic": "gift-list:1",
    "event": "UPDATED",
    "data": {"entity_id": "gift-7", "payload": None, "timestamp": "2026-11-23T15:00:00Z"},
}
EVENT = json.dumps(GOOD)
Vector = dict[str, Any]


def vectors(*names: str) -> pytest.MarkDecorator:
    rows = [row for name in names for row in EVENTS[name]]
    return pytest.mark.parametrize("vector", rows, ids=[row["name"][:60] for row in rows])


def bytes_of(vector: Vector) -> bytes:
    if "base64" in vector:
        return base64.b64decode(vector["base64"])
    if "parts" in vector:
        return "".join(p if isinstance(p, str) else p[0] * p[1] for p in vector["parts"]).encode()
    return str(vector["text"]).encode() if "text" in vector else json.dumps(vector["event"]).encode()


def only(reports: list[Report]) -> Report:
    assert len(reports) == 1
    return reports[0]


def places(faults: tuple[Any, ...]) -> list[dict[str, str]]:
    return [{"code": str(fault.code), "path": fault.path} for fault in faults]


def text_of(reports: list[Report]) -> list[str]:
    return ["".join(text for _, text in line) for line in lines_of(reports)]


# What it finds.


@vectors("valid")
def test_valid(vector: Vector) -> None:
    report = only(validate_bytes(bytes_of(vector)))
    assert report.valid
    assert places(report.warnings) == vector["warnings"]
    assert report.understood is not None and report.understood.entity_id


@vectors("invalid", "publishing")
def test_invalid(vector: Vector) -> None:
    report = only(validate_bytes(bytes_of(vector)))
    assert places(report.errors) == vector.get("faults", [{"code": vector["code"], "path": vector["path"]}])
    if "warnings" in vector:
        assert places(report.warnings) == vector["warnings"]


@vectors("unreadable")
def test_unreadable(vector: Vector) -> None:
    report = only(validate_bytes(bytes_of(vector)))
    assert places(report.errors) == [{"code": "bad_json", "path": ""}]
    assert report.understood is None


@vectors("valid")
def test_the_payload_is_measured_as_the_server_measures_it(vector: Vector) -> None:
    value, payload_bytes = read_json(bytes_of(vector).decode())
    data = value["data"]
    assert payload_bytes == (len(msgspec.json.encode(data["payload"])) if "payload" in data else None)


def test_one_event_a_line() -> None:
    reports = validate_text(f'{EVENT}\n\n{{"topic":"gifts"}}\r\n{{oops\n')
    assert [(report.line, report.valid) for report in reports] == [(1, True), (3, False), (4, False)]
    lines = text_of(reports)
    assert lines[1].startswith('line 3: error: topic is "gifts", without a colon; ')
    assert lines[-2].startswith('line 4: error: the event is no JSON: the name "oops" has no quotes')
    assert lines[-1] == "3 events: 1 valid, 2 invalid; 4 errors, 0 warnings"


def test_one_event_over_lines() -> None:
    assert only(validate_text(json.dumps(GOOD, indent=2))).valid
    report = only(validate_text('{\n  "topic": "a:b",\n}\n'))
    assert "at line 2, column 17" in report.errors[0].message


def test_a_number_beyond_a_double() -> None:
    report = only(validate_text(EVENT.replace("null", "1e999")))
    assert places(report.errors) == [{"code": "bad_event", "path": ""}]
    assert only(validate_text(EVENT.replace("null", "1e308"))).valid


@pytest.mark.parametrize("text", ["[" * 100_000, '{"a":' * 100_000, "[" * 33 + "]" * 33])
def test_depth_is_bounded_before_anything_recurses(text: str) -> None:
    with pytest.raises(JsonFault, match="nests deeper than 32 levels"):
        read_json(text)


def test_values_that_no_text_can_hold() -> None:
    assert places(validate_event({**GOOD, "version": float("inf")}).errors) == [
        {"code": "bad_event", "path": "version"}
    ]


# What it prints.


def test_nothing_of_the_input_reaches_the_terminal_raw() -> None:
    hostile = "\x1b[31m\x07\x9b\u202e\u2028\x00"
    event = {"topic": hostile, "event": f"A{hostile}", "data": {"entity_id": hostile, hostile: 1}}
    reports = [validate_event(event), validate_event({**event, "topic": f"{hostile}:{hostile}"})]
    for printed in [*text_of(reports), to_json(reports)]:
        assert not re.search("[\x00-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e]", printed)
    assert re.fullmatch("[ -~]*", to_json(reports))


def test_shown_is_bounded() -> None:
    assert len(shown("x" * 1000)) == 62
    assert shown("caf\u00e9 \U0001f381") == '"caf\u00e9 \U0001f381"'


# The command.


app = typer.Typer()
app.command()(validate)


def run(*args: str, input: str | bytes | None = None) -> tuple[int, str, str]:
    result = CliRunner().invoke(app, list(args), input=input)
    return result.exit_code, result.stdout, result.stderr


def test_an_argument() -> None:
    said = 'understood: topic "gift-list:1", event "UPDATED", entity "gift-7"\nvalid: 0 errors, 0 warnings\n'
    assert run(EVENT) == (0, said, "")


def test_a_file(tmp_path: Path) -> None:
    (tmp_path / "event.json").write_text(EVENT)
    (tmp_path / "events.ndjson").write_text(f"{EVENT}\n")
    assert run(str(tmp_path / "event.json"))[1].startswith("understood")
    assert run(str(tmp_path / "events.ndjson"))[1].startswith("line 1: understood")


def test_standard_input() -> None:
    assert run("-", input='{"topic":"gift-list:1"}')[0] == 1
    assert run(input=EVENT)[0] == 0
    assert run(input=b"\xff")[1].startswith("error: the event is not UTF-8, at line 1; ")


def test_json() -> None:
    code, out, _ = run("--json", "{}")
    assert code == 1
    assert json.loads(out)["events"][0]["line"] is None


def test_what_cannot_be_read() -> None:
    code, out, err = run("no-such-file")
    assert (code, out) == (1, "")
    assert err.startswith('error: "no-such-file" is neither JSON nor a file that can be read; ')
    assert run("x" * 5000)[0] == 1
    assert run("a\x00b")[0] == 1


def in_a_terminal(env: dict[str, str]) -> str:
    """What the command prints where its output is a terminal."""
    ours, theirs = pty.openpty()
    script = "import typer; from tidings.cli.validate import validate; typer.run(validate)"
    command = [sys.executable, "-c", script, '{"topic":"gifts"}']
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT / "src"), "TERM": "xterm-256color", **env}
    with subprocess.Popen(command, stdout=theirs, stderr=theirs, env=environment) as process:
        os.close(theirs)
        printed = b""
        while True:
            try:
                piece = os.read(ours, 4096)
            except OSError:  # Linux says so when the other side is closed
                break
            if not piece:
                break
            printed += piece
        process.wait(timeout=30)
    os.close(ours)
    return printed.decode()


def test_colour_in_a_terminal_only() -> None:
    coloured = in_a_terminal({})
    assert "\x1b[1;31merror\x1b[0m" in coloured
    plain = re.sub(r"\x1b\[[0-9;]*m", "", coloured).replace("\r\n", "\n")
    assert plain == run('{"topic":"gifts"}')[1]
    assert "\x1b" not in in_a_terminal({"NO_COLOR": "1"})


# The command of the npm package.

MORE = [
    b"\n\n",
    f"{EVENT}\n{EVENT}\n".encode(),
    f'{EVENT}\n\n{{"topic":"gifts"}}\r\n{{oops\n'.encode(),
    f'{{"a":\n{EVENT}\n{EVENT}'.encode(),
    f"{EVENT}\n\xff".encode("latin-1"),
    json.dumps(GOOD, indent=2).encode(),
    b'{\n  "topic": "a:b",\n  \xf0\x9f\x8e\x81\n}\n',
    b'{"a": 1e999}',
    b'{"a": 1.0, "version": 1.0, "data": {"payload": [1.50, -0, 1E5, 12345678901234567890]}}',
    b'{"version": 9007199254740993}',
    b'{"event": "\\u007f\\u009b\\u00a0\\ud83c\\udf81\\uffff"}',
    '{"event": "\U000e0041", "b\u00e9": 1, "\uff5a": 1, "\U0001f381": 1, "x y": 1}'.encode(),
    b'[{"topic": "a:b"}]',
    b'{"data": {"payload": {"payload": 1}, "data": {"payload": "' + b"x" * 20_000 + b'"}}}',
    b'{"data": [{"payload": "' + b"x" * 20_000 + b'"}]}',
]

DRIVER = """
import { validateBytes } from "./validate.ts";
import { linesOf, toJson } from "./report.ts";
import { readFileSync } from "node:fs";
const inputs = JSON.parse(readFileSync(0, "utf8"));
const outputs = inputs.map(([text, byLine]) => {
  const reports = validateBytes(Buffer.from(text, "base64"), byLine);
  return [linesOf(reports).map((line) => line.map((piece) => piece.text).join("")), toJson(reports)];
});
process.stdout.write(JSON.stringify(outputs));
"""


def test_both_programs_print_the_same(tmp_path: Path) -> None:
    esbuild = ROOT / "node_modules" / ".bin" / "esbuild"
    assert esbuild.exists(), "run npm install first: this test runs the command of the npm package"
    program = tmp_path / "driver.mjs"
    options = ["--bundle", "--platform=node", "--format=esm", "--loader=ts", f"--outfile={program}"]
    subprocess.run([esbuild, *options], input=DRIVER, cwd=ROOT / "js" / "src", text=True, check=True, timeout=60)
    names = ("valid", "invalid", "publishing", "unreadable")
    texts = [*(bytes_of(vector) for name in names for vector in EVENTS[name]), *MORE]
    inputs = [(text, by_line) for text in texts for by_line in (False, True)]
    sent = json.dumps([(base64.b64encode(text).decode(), by_line) for text, by_line in inputs])
    done = subprocess.run(["node", program], input=sent, capture_output=True, text=True, check=True, timeout=60)
    theirs = json.loads(done.stdout)
    assert len(theirs) == len(inputs) > 300
    for (text, by_line), (their_lines, their_json) in zip(inputs, theirs, strict=True):
        ours = validate_bytes(text, by_line=by_line)
        assert text_of(ours) == their_lines, text[:200]
        assert to_json(ours) == their_json, text[:200]
