"""What picture files say and Pillow does not tell: chunks of PNG, boxes of AVIF, tags of TIFF, formats by content."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from io import BytesIO
from typing import NamedTuple

from PIL import TiffImagePlugin

PNG = b"\x89PNG\r\n\x1a\n"
TEXT_CHUNKS = {b"tEXt", b"zTXt", b"iTXt"}
SUBFILE_TYPE = 254  # TIFF tag
SNIFFED = 16  # bytes of a file that `kind` looks at
SIGNATURES = {
    "PNG": PNG,
    "JPEG": b"\xff\xd8\xff",
    "GIF": b"GIF8",
    "TIFF": (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"),
    "JPEG2000": (b"\0\0\0\x0cjP  ", b"\xff\x4f\xff\x51"),
}
BRANDS = {b"avif": "AVIF", b"avis": "AVIF"} | dict.fromkeys(
    (b"heic", b"heix", b"hevc", b"heim", b"mif1", b"msf1"), "HEIC"
)


class TiffPage(NamedTuple):
    """bits: of a sample; floating: whether samples are floating point; own: no thumbnail or mask of another page."""

    bits: int
    floating: bool
    own: bool


def kind(start: bytes) -> str | None:
    """The format of a picture file by its first bytes; None for anything else."""
    for name, signatures in SIGNATURES.items():
        if start.startswith(signatures):
            return name
    if start.startswith(b"RIFF") and start[8:12] == b"WEBP":
        return "WEBP"
    return BRANDS.get(start[8:12]) if start[4:8] == b"ftyp" else None


def png_chunks(content: bytes) -> Iterator[tuple[bytes, bytes, bytes]]:
    """Name, body and whole bytes of every chunk of a PNG file, as far as they are complete."""
    at = len(PNG)
    while at + 12 <= len(content):
        length, name = struct.unpack(">I4s", content[at : at + 8])
        end = at + 12 + length
        if end > len(content):
            return
        yield name, content[at + 8 : end - 4], content[at:end]
        at = end


def png_without_text(content: bytes) -> bytes:
    """A PNG file without its text chunks. Pillow refuses whole pictures whose texts are long."""
    kept, at = [PNG], len(PNG)
    for name, _, whole in png_chunks(content):
        at += len(whole)
        if name not in TEXT_CHUNKS:
            kept.append(whole)
    return b"".join([*kept, content[at:]])


def png_cicp(content: bytes) -> tuple[int, int, bool] | None:
    """Primaries and transfer (ITU-T H.273 codes) and full range of a PNG file's cICP chunk; None without one."""
    for name, body, _ in png_chunks(content):
        if name == b"IDAT":
            return None
        if name == b"cICP" and len(body) == 4:
            return body[0], body[1], body[3] == 1
    return None


def avif_cicp(content: bytes) -> tuple[int, int] | None:
    """Primaries and transfer (ITU-T H.273 codes) of the first colr box of type nclx; None without one."""
    found = [content]
    for name, header in ((b"meta", 4), (b"iprp", 0), (b"ipco", 0), (b"colr", 0)):
        found = [body[header:] for whole in found for at, body in _boxes(whole) if at == name]
    for body in found:
        if body[:4] == b"nclx" and len(body) >= 8:
            return struct.unpack(">2H", body[4:8])
    return None


def _boxes(content: bytes) -> Iterator[tuple[bytes, bytes]]:
    # Name and body of every box of an ISO media file (ISO/IEC 14496-12), as far as they are complete.
    at = 0
    while at + 8 <= len(content):
        length, name = struct.unpack(">I4s", content[at : at + 8])
        header = 8
        if length == 1 and at + 16 <= len(content):
            length, header = struct.unpack(">Q", content[at + 8 : at + 16])[0], 16
        end = len(content) if length == 0 else at + length
        if end > len(content) or (length and length < header):
            return
        yield name, content[at + header : end]
        at = end


def tiff_pages(content: bytes) -> list[TiffPage]:
    """The pages of a TIFF file in their order, as far as they can be read."""
    pages, seen = [], set()
    try:
        tags = TiffImagePlugin.ImageFileDirectory_v2(content[: 16 if 43 in content[2:4] else 8])  # 43: BigTIFF
        file = BytesIO(content)
        while tags.next and tags.next not in seen:
            seen.add(tags.next)
            file.seek(tags.next)
            tags.load(file)
            bits = tags.get(TiffImagePlugin.BITSPERSAMPLE, (1,))
            floating = 3 in tags.get(TiffImagePlugin.SAMPLEFORMAT, (1,))
            # Bits 0 and 2: a smaller copy, or a mask, of another page.
            pages.append(TiffPage(max(bits), floating, not tags.get(SUBFILE_TYPE, 0) & 0b101))
    except Exception:  # on damaged files anything may come
        pass
    return pages
