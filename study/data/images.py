"""One picture file, of any common format, mode and size, to a square uint8 sRGB array."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from typing import NamedTuple, TypeVar

import numpy as np
from PIL import Image, UnidentifiedImageError
from tqdm import tqdm

from study.data import color_spaces, containers

try:
    from pillow_heif import register_heif_opener  # HEIC is read where this plug-in is installed
except ImportError:
    pass
else:
    register_heif_opener()

# Only what cameras, scanners and the web write: Pillow's other decoders (EPS runs a program) stay shut.
Image.init()
KNOWN = ("JPEG", "PNG", "WEBP", "TIFF", "BMP", "GIF", "AVIF", "JPEG2000", "PPM", "HEIF")
FORMATS = [name for name in KNOWN if name in Image.OPEN]
# A picture whose R, G, B differ by no more than this anywhere has no colour beyond what JPEG makes of gray.
GRAY_SPREAD = 4
# Pillow warns from 89 megapixels on and refuses from 179; the refusal is enough.
warnings.filterwarnings("ignore", category=Image.DecompressionBombWarning)

ORIENTATION = 0x0112  # EXIF tag: how a viewer must turn the stored picture
TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}

Item = TypeVar("Item")
Result = TypeVar("Result")


class BadPicture(Exception):
    """A file that cannot be used as a picture; its text is the reason, in one line."""


class Picture(NamedTuple):
    """pixels: uint8 (S,S,3) sRGB; grayscale: whether it has no colour at all; color_space: what it was stored in."""

    pixels: np.ndarray
    grayscale: bool
    color_space: str


def decode(content: bytes, size: int, smallest: int = 1) -> Picture:
    """The central square of a picture file's `content`, resized to size x size.

    EXIF rotation is applied, and colours are converted to sRGB from the space that the file names (color_spaces.py).
    Transparency is laid over white, 16-bit gray divided by 257, gray of unknown range (32-bit, float) stretched.
    Shrinking averages areas, enlarging is bicubic. Of a TIFF with thumbnails and masks the picture itself is taken.
    Raises BadPicture for files that are damaged, animated or of several pages, too large for memory, of high dynamic
    range, or of fewer than `smallest` pixels on a side.
    """
    try:
        with Image.open(BytesIO(content), formats=FORMATS) as image:
            pixels, color_space = _square_srgb(image, content, size, smallest)
    except BadPicture:
        raise
    except color_spaces.Unsupported as reason:
        raise BadPicture(str(reason)) from None
    except UnidentifiedImageError:
        raise BadPicture(_unidentified(content)) from None
    except Image.DecompressionBombError:
        raise BadPicture("too many pixels") from None
    except Exception as error:  # on damaged files Pillow raises nearly anything, from struct.error to TypeError
        shorter = containers.png_without_text(content) if containers.kind(content) == "PNG" else content
        if len(shorter) < len(content):  # its texts may be what Pillow refuses
            return decode(shorter, size, smallest)
        raise BadPicture(" ".join(f"damaged or unsupported: {error}".split())) from error
    red, green, blue = pixels.transpose(2, 0, 1)
    spread = np.maximum(np.maximum(red, green), blue) - np.minimum(np.minimum(red, green), blue)
    return Picture(pixels, bool(spread.max() <= GRAY_SPREAD), color_space)


def _unidentified(content: bytes) -> str:
    kind = containers.kind(content)
    if kind in ("HEIC", "AVIF"):
        return f"{kind} cannot be read here: install {'pillow-heif' if kind == 'HEIC' else 'a newer Pillow'}"
    pages = containers.tiff_pages(content) if kind == "TIFF" else []
    if pages and (pages[0].floating or pages[0].bits > 16):
        what = f"{pages[0].bits}-bit {'floating-point' if pages[0].floating else 'integer'} samples"
        return f"TIFF of {what}, whose range is not known: save it with 8 or 16 bits to use it"
    return "not a picture in a format that can be read"


def _square_srgb(image: Image.Image, content: bytes, size: int, smallest: int) -> tuple[np.ndarray, str]:
    pages = [page.own for page in containers.tiff_pages(content)] if image.format == "TIFF" else []
    frames = sum(pages) if pages else getattr(image, "n_frames", 1)
    # Phones write photographs as MPO: the picture itself first, then a depth or gain map.
    if frames > 1 and image.format != "MPO":
        raise BadPicture(f"{frames} frames or pages instead of a single picture")
    if any(pages):
        image.seek(pages.index(True))
    if min(image.size) < smallest:
        raise BadPicture(f"only {image.width}x{image.height} pixels, at least {smallest} a side are needed")
    image.draft(None, (2 * size, 2 * size))  # a large JPEG is decoded at a half, quarter or eighth, much faster
    image.load()
    source, orientation = image, _orientation(image)
    image = _color_mode(image)
    side = min(image.size)
    left, top = (image.width - side) / 2, (image.height - side) / 2
    filter_ = Image.Resampling.BOX if side >= size else Image.Resampling.BICUBIC
    image = image.resize((size, size), filter_, box=(left, top, left + side, top + side))
    image, color_space = color_spaces.convert(image, source, content)
    if orientation in TURNS:
        image = image.transpose(TURNS[orientation])
    return np.asarray(image), color_space


def _orientation(image: Image.Image) -> int | None:
    try:
        return image.getexif().get(ORIENTATION)
    except Exception:  # EXIF is often malformed, and no reason to lose the picture
        return None


def _color_mode(image: Image.Image) -> Image.Image:
    # RGB, or CMYK as its profile is needed to convert it.
    if image.mode.startswith("I;16"):
        image = Image.fromarray(np.rint(np.asarray(image) / 257).astype(np.uint8))
    elif image.mode in ("I", "F"):
        values = np.nan_to_num(np.asarray(image, np.float64))
        span = np.ptp(values) or 1.0
        image = Image.fromarray(np.rint((values - values.min()) * (255 / span)).astype(np.uint8))
    elif image.has_transparency_data:
        picture = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", picture.size, "white"), picture)
    return image if image.mode == "CMYK" else image.convert("RGB")


def in_threads(work: Callable[[Item], Result], items: Sequence[Item], label: str) -> Iterator[Result]:
    """work(item) for every item, in their order, on all usable cores; what takes over two seconds shows a progress bar.

    When `work` raises, or the caller stops early, what has not begun is dropped.
    """
    from joblib import cpu_count  # takes a moment to import

    pool = ThreadPoolExecutor(cpu_count())
    try:
        yield from tqdm(pool.map(work, items), total=len(items), desc=label, unit="file", delay=2, disable=None)
    finally:
        pool.shutdown(cancel_futures=True)
