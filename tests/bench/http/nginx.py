"""nginx with the answers on disk, set for speed: one worker, sendfile, open files remembered."""

import os
from pathlib import Path

from tests.bench.http.sample import Sample

CONF = """{user}daemon off;
master_process on;
worker_processes 1;
pid {folder}/nginx.pid;
error_log stderr error;
events {{ worker_connections 1024; multi_accept on; }}
http {{
  access_log off;
  server_tokens off;
  sendfile on;
  tcp_nopush on;
  tcp_nodelay on;
  open_file_cache max=100 inactive=1h;
  open_file_cache_valid 1h;
  open_file_cache_min_uses 1;
  keepalive_timeout 1h;
  keepalive_requests 1000000000;
  keepalive_time 24h;
  etag off;
  if_modified_since off;
  max_ranges 0;
  client_body_temp_path {folder}/t1;
  proxy_temp_path {folder}/t2;
  fastcgi_temp_path {folder}/t3;
  uwsgi_temp_path {folder}/t4;
  scgi_temp_path {folder}/t5;
  server {{
    listen 127.0.0.1:{port} backlog=1024;
{locations}
  }}
}}
"""


def configure(samples: dict[str, Sample], folder: Path, port: int) -> Path:
    """Write its configuration; where it is."""
    locations = "\n".join(_location(case, each, folder) for case, each in samples.items())
    file = folder / "nginx.conf"
    file.write_text(
        CONF.format(
            folder=folder,
            port=port,
            locations=locations,
            user="user root;\n" if os.geteuid() == 0 else "",  # to read what is ours alone
        )
    )
    return file


def _location(case: str, sample: Sample, folder: Path) -> str:
    kind = sample.headers["content-type"]
    lines = [
        f"add_header {_quoted(name)} {_quoted(value)};"
        for name, value in sample.headers.items()
        if name != "content-type"
    ]
    if "last-modified" not in sample.headers:
        lines.append('add_header Last-Modified "";')
    inside = "\n      ".join(
        [f"alias {folder}/{case}.body;", "types { }", f"default_type {_quoted(kind)};", *lines]
    )
    return f"    location = /{case} {{\n      {inside}\n    }}"


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
