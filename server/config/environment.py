"""Reads the environment and `.env` as text, before the values are checked as settings."""

import os
import re
import shlex
import stat
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from io import StringIO
from pathlib import Path

from dotenv import dotenv_values
from dotenv.parser import parse_stream

from server.config import private_files
from server.errors import SettingsError

ENCODING = "utf-8-sig"  # editors on Windows write a byte order mark
BAD_LINE = 'expected NAME=value (unclosed quote?); write a quote inside quotes as \\"'
# As conda and cross compilers set HOST: x86_64-conda-linux-gnu, arm64-apple-darwin20.0.0.
PLATFORM = re.compile(r"[a-z0-9_]+-([a-z0-9_]+-)?(linux-(gnu|musl)\w*|darwin[\d.]*)", re.ASCII)
# Containers and service managers show these only to the service, whatever their modes are.
PLACES_OF_SECRETS = ("/run/secrets/", "/var/run/secrets/")
CREDENTIALS = "CREDENTIALS_DIRECTORY"  # systemd.exec(5)


@dataclass(frozen=True)
class Remark:
    """A problem of the settings that prevents nothing: log event, subject, text and fix."""

    event: str
    about: str
    text: str
    fix: str


def read(env_file: Path, environ: Mapping[str, str] = os.environ) -> dict[str, str]:
    """Return the values of `env_file` and of the environment, which wins, by upper-case name.

    Empty values are omitted, and so is a HOST that names a platform. Raises SettingsError if
    the file cannot be parsed.
    """
    outside = {name.upper(): value for name, value in environ.items() if value}
    if is_platform(outside.get("HOST", "")):
        del outside["HOST"]
    return {**read_file(env_file), **outside}


def read_file(env_file: Path) -> dict[str, str]:
    """Return the values of a `.env` by upper-case name, without empty ones.

    Without a file it is an empty dict. Raises SettingsError.
    """
    try:
        text = text_of(env_file) if env_file.exists() else ""
    except ValueError as error:
        raise SettingsError({".env": str(error)}) from None
    for line in parse_stream(StringIO(text)):
        if line.error or (line.key and line.value is None):
            raise SettingsError({f".env, line {line.original.line}:": BAD_LINE})
    found = dotenv_values(stream=StringIO(text), interpolate=False)  # `${` is literal
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
                faults[f"{name}_FILE"] = f"is set, and so is {name}: remove one of them"
            elif path:
                values[field] = text_of(Path(path)).strip()
        except ValueError as error:
            faults[f"{name}_FILE"] = f"names {path}, which {error}"
    return values, faults


def text_of(path: Path) -> str:
    """Return the text of a file. Raises ValueError with the reason if it cannot be read."""
    try:
        return path.read_text(ENCODING)
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is not text in UTF-8"
        raise ValueError(f"cannot be read: {reason}") from None


def is_platform(host: str) -> bool:
    """Return whether a HOST names a platform, as conda's compilers set it, and not an address."""
    return PLATFORM.fullmatch(host.strip()) is not None


def remarks(
    env_file: Path, secret: Collection[str] = (), environ: Mapping[str, str] = os.environ
) -> list[Remark]:
    """Return remarks on the environment, and on files with secrets that other users can read.

    `secret` are the names of settings whose `NAME_FILE` only its owner should be able to read.
    """
    found = []
    host = environ.get("HOST", "")
    if is_platform(host) and not _sets_host(env_file):
        text = f"HOST={host} in the environment names a platform (conda sets it) and is ignored"
        fix = "to listen on another address, set HOST in .env or use `run -h`"
        found.append(Remark("host_ignored", "HOST", text, fix))
    files = {".env": env_file, **_secret_files(env_file, secret, environ)}
    for about, path in files.items():
        if private_files.is_open_to_others(path):
            mode = stat.S_IMODE(path.stat().st_mode)
            text = f"{path} can be read by other users of this machine (mode {mode:o})"
            command = private_files.command_to_close(path)
            event = "env_file_readable" if path == env_file else "secret_file_readable"
            found.append(Remark(event, about, text, command))
    return found


def remark_on_folder(folder: Path) -> list[Remark]:
    """Return a remark if other users can write to `folder`, in which the data folder is."""
    if not private_files.is_writable_by_others(folder):
        return []
    text = f"other users may replace the files in {folder}, including the database"
    fix = f"chmod o-w {shlex.quote(str(folder))}"
    return [Remark("folder_writable", "folder", text, fix)]


def _secret_files(
    env_file: Path, secret: Collection[str], environ: Mapping[str, str]
) -> dict[str, Path]:
    """Return the files that hold secrets by the setting that names each."""
    try:
        text = read(env_file, environ)
    except SettingsError:
        return {}  # reported elsewhere
    given = environ.get(CREDENTIALS)
    closed = (*PLACES_OF_SECRETS, f"{given}/") if given else PLACES_OF_SECRETS
    named = {name: text[name] for each in secret if (name := f"{each}_FILE") in text}
    return {name: Path(path) for name, path in named.items() if not path.startswith(closed)}


def _sets_host(env_file: Path) -> bool:
    try:
        return "HOST" in read_file(env_file)
    except SettingsError:
        return False
