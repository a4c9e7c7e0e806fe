"""Vendor text becomes readable text, the same in every process."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.reasoners import text
from agents.reasoners.text import Block

ROOT = Path(__file__).parents[3]


@pytest.mark.parametrize(
    ("markup", "blocks"),
    [
        ("<p>One</p><p>Two</p>", (Block("One", False), Block("Two", False))),
        ("<ul><li>a<li>b</ul>c", (Block("a", True), Block("b", True), Block("c", False))),
        ("a <b>bold</b> word", (Block("a bold word", False),)),
        ("x<script>1<2</script >y<!-- no -->z", (Block("x y z", False),)),
        ('<a title="1 > 0">link</a>', (Block("link", False),)),
        ("2 < 3 &amp; 5 &lt; 6", (Block("2 < 3 & 5 < 6", False),)),
        ("<header>kept</header>", (Block("kept", False),)),
    ],
)
def test_blocks_of_markup(markup: str, blocks: tuple[Block, ...]) -> None:
    """What a browser would show, block by block."""
    assert text.blocks(markup) == blocks


@given(st.text(max_size=200), st.integers(1, 80))
def test_cutting_keeps_the_limit(value: str, limit: int) -> None:
    """A cut text fits, and a text that fits is not cut."""
    cut = text.cut(value, limit)
    assert len(cut) <= limit and (len(value) > limit or cut == value)


@given(st.text(max_size=80))
def test_flat_text_is_one_printable_line(value: str) -> None:
    """No control character reaches a header, a calendar or a page."""
    assert not any(ord(character) < 32 or 0x7F <= ord(character) < 0xA0 for character in text.flat(value))


def test_lists_read_as_english() -> None:
    """Commas, then "and"."""
    assert [text.listed(words) for words in ([], ["a"], ["a", "b"], ["a", "b", "c"])] == ["", "a", "a and b", "a, b and c"]


_WORK = """
from tests.agents.reasoners import samples
from agents.reasoners import campaign, outreach, report, text
results = [samples.launched(samples.MUG), samples.launched(samples.BARE)]
mails = outreach.mails(results, samples.AS_OF, "Kiln", run_key="r")
data = report.build(results, mails, samples.AS_OF, "w", 1)
posts = [post for result in results for post in result.posts or ()]
print(text.digest(report.render_html(data), report.render_json(data), mails))
print(text.digest(campaign.calendar_ics(posts, "r", samples.AS_OF), results))
"""


def test_two_processes_give_the_same_bytes() -> None:
    """Neither the hash seed nor the locale nor the time zone of a process changes any output."""
    outputs = {
        subprocess.run(
            [sys.executable, "-c", _WORK], cwd=ROOT, env={**os.environ, **changed}, capture_output=True, text=True, check=True
        ).stdout
        for changed in (
            {"PYTHONHASHSEED": "1", "TZ": "UTC", "LC_ALL": "C", "PYTHONPATH": str(ROOT)},
            {"PYTHONHASHSEED": "2", "TZ": "Asia/Tokyo", "LC_ALL": "C.UTF-8", "PYTHONPATH": str(ROOT)},
        )
    }
    assert len(outputs) == 1
