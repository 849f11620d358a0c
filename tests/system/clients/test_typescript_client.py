"""A client in TypeScript, with types made from the description alone, passes over every route."""

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.support.paths import ROOT
from tests.support.server_processes import Server

INSTALLED = ROOT / "build" / "typescript" / "node_modules"
OPTIONS = {
    "strict": True,
    "noUncheckedIndexedAccess": True,
    "target": "es2022",
    "module": "es2022",
    "moduleResolution": "bundler",
    "lib": ["es2022", "dom", "dom.iterable"],
    "types": [],
    "skipLibCheck": True,
}
START = """\
import createClient from "openapi-fetch";
import type { components, paths } from "./freshet";

const root = "%s", key = "%s", artist = "%s", album = "%s";
const client = createClient<paths>({
  baseUrl: root,
  headers: { Authorization: `Bearer ${key}` },
  querySerializer: { array: { style: "form", explode: false } },
});
const said: unknown[] = [];
function note(operation: string, response: Response, read: unknown) {
  said.push([operation, response.status, read]);
}
"""
# What a program does with the types; the compiler refuses it where the description says otherwise.
USE = """\
{
  const { data, error } = await client.GET("/api/albums/", {
    params: { query: { type: ["single", "album"], sort: "name", limit: 2 } },
  });
  if (error) throw new Error(error.title);
  const first: components["schemas"]["Album"] | undefined = data.items[0];
  const day: string | null | undefined = first?.released_on;
  said.push(["types", data.href, typeof day]);
  // @ts-expect-error: an order that there is not
  await client.GET("/api/albums/", { params: { query: { sort: "loudest" } } });
  // @ts-expect-error: the id is missing
  if (key === "") await client.GET("/api/artists/{id}/", {});
  // @ts-expect-error: a field that there is not
  said.push(["no field", data.items[0]?.loudness === undefined]);
}
{
  const { error } = await client.GET("/api/albums/{spotify_id}/", {
    params: { path: { spotify_id: "x".repeat(22) } },
  });
  said.push(["problem", error?.type]);
}
{
  const { data, response } = await client.POST("/api/my/import/", {
    body: artist, bodySerializer: text => text, headers: { "Content-Type": "text/plain" },
  });
  note("importArtists", response, data?.artists);
}
"""
END = "console.log(JSON.stringify(said));\n"
CALL = """\
{{
  const options = {{ params: {given}, parseAs: "{reader}" }} as const;
  const {{ data, response }} = await client.{method}("{path}", options);
  note("{name}", response, {read});
}}
"""
READERS = {  # of what is not text
    "application/json": ("json", "data"),
    "application/feed+json": ("json", "data"),
    "text/event-stream": ("stream", "await (data as ReadableStream).cancel()"),
}
GIVEN = {  # by the part of a path that asks for it
    "{spotify_id}": "{ path: { spotify_id: album } }",
    "/keys/{id}": '{ path: { id: "999999" } }',
    "{id}": "{ path: { id: artist } }",
    "": "{}",
}
NOT_CALLED = ("importArtists", "makeKey")  # the first is in USE, the second takes a session


def calls(document: dict[str, Any]) -> str:
    """A call of each operation."""
    made = ""
    for path, item in document["paths"].items():
        for method, operation in item.items():
            name, answer = operation["operationId"], operation["responses"].get("200", {})
            (kind,) = answer.get("content", ["application/json"])
            reader, read = READERS.get(kind, ("text", "data"))
            given = next(GIVEN[part] for part in GIVEN if part in path)
            if name not in NOT_CALLED:
                made += CALL.format(
                    method=method.upper(),
                    path=path,
                    given=given,
                    reader=reader,
                    name=name,
                    read=read,
                )
    return made


def compiler(program: str, *arguments: str, folder: Path) -> str:
    done = subprocess.run(
        ["node", str(INSTALLED / ".bin" / program), *arguments],
        cwd=folder,
        env={"PATH": os.environ["PATH"], "HOME": str(folder)},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.slow
def test_a_typescript_client_made_from_the_description_passes_over_every_route(
    server: Server, key: str, tmp_path: Path
) -> None:
    if not INSTALLED.exists() or shutil.which("node") is None:
        pytest.skip("`make build/typescript` has not been run, or there is no node")
    root = f"http://127.0.0.1:{server.port}"
    document = json.loads(server.get("/api/openapi.json")[2])
    artist = json.loads(server.get("/api/artists/?limit=1")[2])["items"][0]
    album = artist["latest_album"]["spotify_id"]
    (tmp_path / "node_modules").symlink_to(INSTALLED)
    (tmp_path / "package.json").write_text('{"type": "module"}')
    compiler("openapi-typescript", f"{root}/api/openapi.json", "-o", "freshet.ts", folder=tmp_path)
    (tmp_path / "tsconfig.json").write_text(json.dumps({"compilerOptions": OPTIONS}))
    start = START % (root, key, artist["spotify_id"], album)
    (tmp_path / "client.ts").write_text(start + calls(document) + USE + END)
    compiler("tsc", folder=tmp_path)
    done = subprocess.run(
        ["node", "client.js"], cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    said = {each[0]: each[1:] for each in json.loads(done.stdout)}
    wanted = {
        way["operationId"]: int(min(way["responses"]))  # the good one
        for item in document["paths"].values()
        for way in item.values()
        if way["operationId"] != "makeKey"
    }
    assert {name: said[name][0] for name in wanted} == wanted | {"revokeKey": 404}
    assert said["listArtists"][1]["items"][0]["name"] == artist["name"]
    assert said["importArtists"][1] == 1
    assert said["types"] == [f"{root}/api/albums/?limit=2&type=album,single&sort=name", "string"]
    assert said["problem"] == ["/problems/not-found"]
    assert said["no field"] == [True]
