"""The facts of the machine and of what ran on it: without them a figure says nothing."""

from __future__ import annotations

import importlib.metadata
import json
import os
import platform
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

from bench import build


def facts() -> dict[str, Any]:
    """The machine: processor, cores, kernel, memory."""
    memory = next(line for line in Path("/proc/meminfo").read_text().splitlines() if line.startswith("MemTotal:"))
    return {
        "processor": _processor(),
        "cores": os.cpu_count(),
        "kernel": platform.release(),
        "memory_gib": round(int(memory.split()[1]) / 2**20, 1),
        "pinned": shutil.which("taskset") is not None,
    }


def versions() -> dict[str, str]:
    """What took part, by name. What is not there is left out."""
    found = {"python": platform.python_version()}
    for package in ("tidings", "uvicorn", "uvloop", "httptools", "websockets", "fastapi", "starlette", "msgspec"):
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    for line in (build.PEERS / "requirements.txt").read_text().splitlines():
        name, _, version = line.partition("==")
        if version and "[" not in name:
            found.setdefault(name, version)
    node = json.loads((build.PEERS / "package.json").read_text())["dependencies"]
    found |= node
    for line in (build.PEERS / "centrifuge" / "go.mod").read_text().splitlines():
        if line.startswith("require ") and "centrifuge " in line:
            found["centrifuge"] = line.split()[-1].removeprefix("v")
    for command, flag in (("node", "--version"), ("go", "version"), ("cc", "--version")):
        if shutil.which(command):
            said = subprocess.run([command, flag], capture_output=True, text=True).stdout.splitlines()
            found[command] = _last_number(said[0]) if said else "unknown"
    return found


def _last_number(line: str) -> str:
    """The version out of what a command says of itself: ``go version go1.26.8 linux/amd64``."""
    numbers = re.findall(r"\d+\.\d+(?:\.\d+)?", line)
    return numbers[-1] if numbers else line.strip()


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.processor() or "unknown"
