"""LibreOffice without a window: it opens files as told, and saves them as sheets in XML.

A macro does it, because a command can name only one way of reading, and each start takes over a
second of CPU time. Sources: api.libreoffice.org, XComponentLoader and MediaDescriptor;
wiki.documentfoundation.org, Documentation/DevGuide/Spreadsheet Documents, Filter Options.
"""

import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from xml.sax.saxutils import escape

import pytest

SECONDS = 60.0
PUBLIC = '<!DOCTYPE {0} PUBLIC "-//OpenOffice.org//DTD OfficeDocument 1.0//EN" "{1}.dtd">'
XML = '<?xml version="1.0" encoding="UTF-8"?>\n'
LIBRARY = 'xmlns:library="http://openoffice.org/2000/library"'
PROFILE = {  # a user's settings, complete, so that the macro is not replaced by an empty one
    "registrymodifications.xcu": XML + '<oor:items xmlns:oor="http://openoffice.org/2001/registry">'
    '<item oor:path="/org.openoffice.Setup/Office">'
    '<prop oor:name="ooSetupInstCompleted" oor:op="fuse"><value>true</value></prop>'
    "</item></oor:items>",
    "basic/script.xlc": XML
    + PUBLIC.format("library:libraries", "libraries")
    + f'<library:libraries {LIBRARY}><library:library library:name="Standard" '
    'library:link="false"/></library:libraries>',
    "basic/Standard/script.xlb": XML
    + PUBLIC.format("library:library", "library")
    + f'<library:library {LIBRARY} library:name="Standard" library:readonly="false" '
    'library:passwordprotected="false"><library:element library:name="Module1"/>'
    "</library:library>",
}
MODULE = (
    XML
    + PUBLIC.format("script:module", "module")
    + '<script:module xmlns:script="http://openoffice.org/2000/script" script:name="Module1" '
    'script:language="StarBasic">{}</script:module>'
)
MACRO = """
Sub Main
  Dim reading(2) As New com.sun.star.beans.PropertyValue
  Dim writing(0) As New com.sun.star.beans.PropertyValue
  reading(0).Name = "Hidden" : reading(0).Value = True
  reading(1).Name = "FilterName" : reading(1).Value = "Text - txt - csv (StarCalc)"
  reading(2).Name = "FilterOptions"
  writing(0).Name = "FilterName" : writing(0).Value = "OpenDocument Spreadsheet Flat XML"
"""
CONVERT = """
  reading(2).Value = "{options}"
  sheet = StarDesktop.loadComponentFromURL("{source}", "_blank", 0, reading())
  sheet.storeToURL("{target}", writing())
  sheet.close(True)
"""


def open_csv(files: Sequence[tuple[Path, str]], folder: Path) -> list[Path]:
    """Open each file with its filter options; returns the sheets, which are in `folder`.

    Skips the test where there is no LibreOffice.
    """
    program = shutil.which("soffice")
    if program is None:
        pytest.skip("there is no LibreOffice")
    sheets = [folder / f"{number}.fods" for number in range(len(files))]
    steps = [
        CONVERT.format(options=options, source=file.as_uri(), target=sheet.as_uri())
        for (file, options), sheet in zip(files, sheets, strict=True)
    ]
    profile = folder / "profile"
    (profile / "user" / "basic" / "Standard").mkdir(parents=True)
    macro = MODULE.format(escape("".join((MACRO, *steps, "End Sub\n"))))
    for name, content in {**PROFILE, "basic/Standard/Module1.xba": macro}.items():
        (profile / "user" / name).write_text(content, encoding="utf-8")
    command = [program, f"-env:UserInstallation={profile.as_uri()}", "--headless"]
    done = subprocess.run(
        [*command, "macro:///Standard.Module1.Main"],
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert all(each.exists() for each in sheets), done.stderr
    return sheets
