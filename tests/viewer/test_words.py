"""Every word of the page comes from the message files (viewer/src/i18n), none stands in its code."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

SOURCES = Path(__file__).resolve().parents[2] / "viewer" / "src"

COMMENT = re.compile(r"/\*.*?\*/|(?<![:\"'`])//[^\n]*", re.DOTALL)
IMPORT = re.compile(r"^import\b[^;]*;", re.MULTILINE)

LETTERS = r"[^\W\d_]{2,}"
IN_ELEMENT = re.compile(rf"(?:(?<![=\-])>|\}})([^<>{{}};=()]*{LETTERS}[^<>{{}};=()]*)(?=</|\{{[^\n]*</)")
"""Text that stands between a tag or a value and the end of its element."""
ON_ITS_OWN = re.compile(rf"^\s+([A-Z][\w ,.'’·…:;-]*{LETTERS}[\w .'’·…:-]*)$", re.MULTILINE)
"""A line that holds nothing but words."""
ATTRIBUTE = re.compile(r"\b(?:aria-label|aria-description|title|placeholder|alt|label|words)=\"([^\"]+)\"")
SENTENCE = re.compile(r"[\"`]([A-Z][a-z]+[^\"`\n]*)[\"`]")
"""Text in a value, as in `{busy() ? "Stop" : "Close"}`: it begins with a capital."""

NOT_FOR_READING = {
    *("ArrowUp", "ArrowDown", "Enter", "Escape", "Space", "Tab"),  # names of keys
    "Files",  # the kind of a drag
    "folder/",  # the end of a command line to copy
    "Gantry",
}


def words_in(code: str) -> list[str]:
    """What the code of a component would put before a reader by itself."""
    code = IMPORT.sub("", COMMENT.sub("", code))
    found = [
        *IN_ELEMENT.findall(code),
        *ON_ITS_OWN.findall(code),
        *ATTRIBUTE.findall(code),
        *SENTENCE.findall(code),
    ]
    return [words for words in map(str.strip, found) if words not in NOT_FOR_READING]


def test_no_words_stand_in_components() -> None:
    if not SOURCES.is_dir():
        pytest.skip("the viewer's sources are not here (an installed package has only what is built)")
    components = sorted(SOURCES.rglob("*.tsx"))
    assert components
    found = {path.name: words_in(path.read_text()) for path in components}
    assert {name: words for name, words in found.items() if words} == {}


@pytest.mark.parametrize(
    "code",
    [
        "<h2>Keys</h2>",
        "<span>{props.rate} images/s</span>",
        "<p>\n  Stop\n</p>",
        '<Icon name="refresh" /> Try again\n</button>',
        '<button aria-label="Slower">−</button>',
        '<Progress label="all files" />',
        '{busy() ? "Opening…" : kind()}',
        "`As sent, ${index() + 1}`",
        "<p>Uploading {done} of {total}</p>",
    ],
)
def test_words_in_code_are_found(code: str) -> None:
    assert words_in(code)


@pytest.mark.parametrize(
    "code",
    [
        "<h2>{t().keys.title}</h2>",
        '<span class="tool-words">{props.words}</span>',
        "const [tool, setTool] = createSignal<DragTool>(onTouch);",
        "if (a > b && c < d) return null;\n}\nexport function Rows(props: RowsProps): JSX.Element {",
        '<img src={address()!} alt="" loading="lazy" />',
    ],
)
def test_code_is_not_taken_for_words(code: str) -> None:
    assert words_in(code) == []
