"""The text of an input file: UTF-8, with or without a byte order mark. Anything else is refused with the remedy.

Nothing is guessed and read on: a wrongly guessed encoding puts wrong letters into a shop, and nobody is told.
"""

from __future__ import annotations

import codecs

_REMEDY = "convert it: iconv -f {0} -t UTF-8 old.csv > new.csv"
_MARKS = (  # the longer mark first: that of UTF-32 starts with that of UTF-16
    (codecs.BOM_UTF32_LE, "UTF-32"),
    (codecs.BOM_UTF32_BE, "UTF-32"),
    (codecs.BOM_UTF16_LE, "UTF-16"),
    (codecs.BOM_UTF16_BE, "UTF-16"),
)
_OTHER_KINDS = (
    (b"PK\x03\x04", "an Excel workbook or zip archive: save it as “CSV UTF-8”"),
    (b"\x1f\x8b", "a gzip archive: unpack it first"),
    (b"%PDF-", "a PDF document: export CSV instead"),
)
_SAMPLE_BYTES = 512


class Undecodable(Exception):
    """The bytes are not UTF-8 text; the message says what they look like and what to do."""


def decode(data: bytes) -> str:
    """The file's text with `\\n` line ends. Raises `Undecodable`."""
    for start, kind in _OTHER_KINDS:
        if data.startswith(start):
            raise Undecodable(f"not a CSV file but {kind}")
    encoding = _sixteen_bits(data)
    if encoding:
        raise Undecodable(f"the file is {encoding}, not UTF-8; {_REMEDY.format(encoding)}")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as failure:
        raise Undecodable(_not_utf8(data, failure.start)) from failure
    if "\r" in text:
        text = text.replace("\r\n", "\n") if "\n" in text else text.replace("\r", "\n")
    return text


def _sixteen_bits(data: bytes) -> str:
    for mark, encoding in _MARKS:
        if data.startswith(mark):
            return encoding
    # Without a mark every other byte of western text is zero.
    sample = data[:_SAMPLE_BYTES]
    for parity, encoding in ((1, "UTF-16LE"), (0, "UTF-16BE")):
        half = sample[parity::2]
        if len(half) > 1 and half.count(0) > len(half) * 0.4 and not sample[1 - parity :: 2].count(0):
            return encoding
    return ""


def _not_utf8(data: bytes, at: int) -> str:
    line = data.count(b"\n", 0, at) + 1
    byte = data[at]
    where = f"not UTF-8: byte 0x{byte:02X} on line {line}"
    # 0x80 to 0x9F are letters and typographic quotes in Windows-1252 and control codes in Latin-1.
    encoding = "WINDOWS-1252" if any(0x80 <= other <= 0x9F for other in data) else "ISO-8859-1"
    letter = bytes([byte]).decode("cp1252", errors="replace")
    if not letter.isprintable() or letter == "\ufffd":
        return f"{where}; the file is damaged or not a text file"
    name = "Windows-1252" if encoding == "WINDOWS-1252" else "Latin-1"
    return f"{where} (“{letter}” in {name}); the file looks like {name}; {_REMEDY.format(encoding)}"
