"""The environment and `.env` as text, before anything in them is checked as a setting."""

import os
import re
import shlex
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from io import StringIO
from pathlib import Path

from dotenv import dotenv_values
from dotenv.parser import parse_stream

from server.errors import SettingsError

ENCODING = "utf-8-sig"  # editors on Windows put a mark at the front
BAD_LINE = (
    "line {line}: expected NAME=value. Is a quote not closed, or is there one inside the quotes "
    '(write \\" there)?'
)
# As conda and cross compilers write it: x86_64-conda-linux-gnu, arm64-apple-darwin20.0.0.
PLATFORM = re.compile(r"[a-z0-9_]+-([a-z0-9_]+-)?(linux-(gnu|musl)\w*|darwin[\d.]*)", re.ASCII)
PRIVATE = 0o600


@dataclass(frozen=True)
class Remark:
    """An oddity of the settings that stops nothing: what it is about, and how to fix it."""

    event: str
    about: str
    text: str
    fix: str


def read(env_file: Path, environ: Mapping[str, str] = os.environ) -> dict[str, str]:
    """Return the values of `env_file` and of the environment, which wins, by upper-case name.

    Empty values are left out, and so is a HOST that names a platform. Raises SettingsError if
    the file cannot be understood.
    """
    outside = {name.upper(): value for name, value in environ.items() if value}
    if is_platform(outside.get("HOST", "")):
        del outside["HOST"]
    return {**read_file(env_file), **outside}


def read_file(env_file: Path) -> dict[str, str]:
    """Return the values of a `.env` by upper-case name, without empty ones; {} if there is none.

    Raises SettingsError.
    """
    try:
        text = text_of(env_file) if env_file.exists() else ""
    except ValueError as error:
        raise SettingsError({".env": str(error)}) from None
    for line in parse_stream(StringIO(text)):
        if line.error or (line.key and line.value is None):
            raise SettingsError({".env": BAD_LINE.format(line=line.original.line)})
    found = dotenv_values(stream=StringIO(text), interpolate=False)  # a ${ is a ${
    return {name.upper(): value for name, value in found.items() if value}


def read_secret_files(
    fields: set[str], environment: Mapping[str, str]
) -> tuple[dict[str, str], dict[str, str]]:
    """Return the values of fields whose `NAME_FILE` names a file, and the faults of the others."""
    values: dict[str, str] = {}
    faults: dict[str, str] = {}
    for field in sorted(fields):
        name = field.upper()
        path = environment.get(f"{name}_FILE")
        try:
            if path and name in environment:
                faults[f"{name}_FILE"] = f"is set, and so is {name}: keep one of them"
            elif path:
                values[field] = text_of(Path(path)).strip()
        except ValueError as error:
            faults[f"{name}_FILE"] = f"names {path}, which {error}"
    return values, faults


def text_of(path: Path) -> str:
    """Return the text of a file. Raises ValueError with the reason if that cannot be had."""
    try:
        return path.read_text(ENCODING)
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is not text in UTF-8"
        raise ValueError(f"cannot be read: {reason}") from None


def is_platform(host: str) -> bool:
    """Whether a HOST is the name of a platform, as conda's compilers set it, and no address."""
    return PLATFORM.fullmatch(host.strip()) is not None


def remarks(env_file: Path, environ: Mapping[str, str] = os.environ) -> list[Remark]:
    """Return what is odd about the environment and about who can read `env_file`."""
    found = []
    host = environ.get("HOST", "")
    if is_platform(host) and not _sets_host(env_file):
        text = f"HOST={host} in the environment names a platform (conda sets it): it is ignored"
        fix = "to listen elsewhere than the default, set HOST in .env or use `run -h`"
        found.append(Remark("host_ignored", "HOST", text, fix))
    if open_to_others(env_file):
        mode = stat.S_IMODE(env_file.stat().st_mode)
        command = f"chmod {PRIVATE:o} {shlex.quote(str(env_file))}"
        text = f"{env_file} can be read by other users of this machine (mode {mode:o})"
        found.append(Remark("env_file_readable", ".env", text, command))
    return found


def _sets_host(env_file: Path) -> bool:
    try:
        return "HOST" in read_file(env_file)
    except SettingsError:
        return False


def open_to_others(env_file: Path) -> bool:
    """Whether the group or others have any right to a file."""
    try:
        return bool(env_file.stat().st_mode & 0o077)
    except OSError:
        return False
