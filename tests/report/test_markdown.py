"""Text from files comes out of Markdown as it went in."""

from __future__ import annotations

import re
from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from study.report.markdown import code, table, words

RENDER = MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"])
# Control characters and separators that HTML itself changes or drops are no part of a name.
TEXT = st.text(st.characters(exclude_categories=("Cc", "Cs", "Zl", "Zp", "Cn", "Co")), max_size=40)
NASTY = (
    "<img src=x onerror=alert(1)>",
    "a|b",
    "`` ` ``",
    "*a*_b_",
    "# h",
    "1. x",
    "[x](http://y)",
    "&amp;",
    "\\",
    "~~s~~",
    "$x$",
    "- x",
    "> q",
    "==",
    "```",
)


class Reader(HTMLParser):
    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.text, self.tags = "", []
        self.feed(html)
        self.close()

    def handle_data(self, data: str) -> None:
        self.text += data

    def handle_starttag(self, tag: str, attrs: list) -> None:
        self.tags.append(tag)


def normal(text: str) -> str:
    return " ".join(text.split())


@pytest.mark.parametrize("text", NASTY)
def test_nasty_words_are_only_words(text):
    found = Reader(RENDER.render(words(text)))
    assert (normal(found.text), found.tags) == (normal(text), ["p"])


@given(TEXT)
def test_any_words_come_out_as_they_went_in(text):
    found = Reader(RENDER.render(words(text)))
    assert normal(found.text) == normal(text)
    assert set(found.tags) <= {"p"}


@given(TEXT.filter(str.strip))
def test_any_code_comes_out_as_it_went_in_also_inside_a_table(text):
    plain = Reader(RENDER.render(f"x {code(text)}"))
    assert (normal(plain.text), plain.tags) == (normal(f"x {text}"), ["p", "code"])
    inside = Reader(RENDER.render(table(["head"], [[code(text, table=True)]])))
    assert inside.tags.count("td") == 1 and inside.tags.count("code") == 1
    if not re.search(r"\\\|", text.replace(" ", "")):
        assert normal(inside.text) == normal(f"head {text}")
