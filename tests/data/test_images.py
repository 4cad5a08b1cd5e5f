"""Decoding one picture file: every mode, orientation and profile to the right sRGB square, damage to a reason."""

from __future__ import annotations

import struct
import zlib
from io import BytesIO

import numpy as np
import pytest
import tifffile
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageCms
from PIL.PngImagePlugin import PngInfo

from study.data.images import BadPicture, Picture, decode, in_threads

RED, BLUE, WHITE = (220, 30, 40), (20, 60, 200), (255, 255, 255)


def encoded(image: Image.Image, format: str = "PNG", **options) -> bytes:
    file = BytesIO()
    image.save(file, format, **options)
    return file.getvalue()


def two_colors(width: int = 32, height: int = 32) -> Image.Image:
    """Upper half red, lower half blue."""
    pixels = np.empty((height, width, 3), np.uint8)
    pixels[: height // 2], pixels[height // 2 :] = RED, BLUE
    return Image.fromarray(pixels)


def noise(width: int, height: int, seed: int = 0) -> Image.Image:
    return Image.fromarray(np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8))


def halves(content: bytes, size: int = 16) -> tuple[np.ndarray, np.ndarray]:
    pixels = decode(content, size).pixels.astype(int)
    return pixels[: size // 2 - 1].mean((0, 1)), pixels[size // 2 + 1 :].mean((0, 1))


@pytest.mark.parametrize("format", ["PNG", "BMP", "TIFF", "WEBP", "GIF", "JPEG"])
def test_common_formats_give_the_colors_that_were_stored(format):
    options = {"WEBP": {"lossless": True}, "JPEG": {"quality": 95, "subsampling": 0}}.get(format, {})
    upper, lower = halves(encoded(two_colors(), format, **options))
    np.testing.assert_allclose(upper, RED, atol=3)
    np.testing.assert_allclose(lower, BLUE, atol=3)


@pytest.mark.parametrize("mode", ["RGBA", "P", "CMYK"])
def test_color_modes_convert_to_rgb(mode):
    upper, lower = halves(encoded(two_colors().convert(mode), "TIFF" if mode == "CMYK" else "PNG"))
    np.testing.assert_allclose(upper, RED, atol=2)
    np.testing.assert_allclose(lower, BLUE, atol=2)


@given(st.integers(8, 80), st.integers(8, 80), st.integers(0, 2**32))
def test_shrinking_by_a_whole_factor_is_the_area_mean_of_the_central_square(width, height, seed):
    image = noise(width, height, seed)
    side = min(width, height) // 8 * 8
    left, top = (width - side) // 2, (height - side) // 2
    square = image.crop((left, top, left + side, top + side))
    expected = np.asarray(square, float).reshape(8, side // 8, 8, side // 8, 3).mean((1, 3))
    assert np.abs(decode(encoded(square), 8).pixels - expected).max() <= 1


@pytest.mark.parametrize(("width", "height"), [(48, 16), (16, 48)])
def test_the_central_square_is_kept(width, height):
    pixels = np.full((height, width, 3), 255, np.uint8)
    pixels[(height - 16) // 2 : (height + 16) // 2, (width - 16) // 2 : (width + 16) // 2] = RED
    np.testing.assert_array_equal(decode(encoded(Image.fromarray(pixels)), 16).pixels, np.full((16, 16, 3), RED))


def test_a_large_jpeg_decoded_at_reduced_size_agrees_with_its_area_mean():
    y, x = np.mgrid[:1024, :1024] / 1024
    image = Image.fromarray((np.stack([x, y, 1 - x], -1) * 255).astype(np.uint8))
    expected = np.asarray(image, float).reshape(32, 32, 32, 32, 3).mean((1, 3))
    assert np.abs(decode(encoded(image, "JPEG", quality=95), 32).pixels - expected).max() < 4


@pytest.mark.parametrize("format", ["JPEG", "PNG", "TIFF", "WEBP"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_is_applied_once(format, orientation):
    # A picture whose quadrants differ, stored so that the orientation tag turns it back.
    upright = np.zeros((16, 16, 3), np.uint8)
    upright[:8, :8], upright[:8, 8:], upright[8:, :8] = RED, BLUE, WHITE
    undo = {
        1: lambda a: a, 2: lambda a: a[:, ::-1], 3: lambda a: a[::-1, ::-1], 4: lambda a: a[::-1],
        5: lambda a: a.transpose(1, 0, 2), 6: lambda a: np.rot90(a, 1), 7: lambda a: np.rot90(a, 2).transpose(1, 0, 2),
        8: lambda a: np.rot90(a, -1),
    }[orientation]  # fmt: skip
    exif = Image.Exif()
    exif[0x0112] = orientation
    options = {"JPEG": {"quality": 95, "subsampling": 0}, "WEBP": {"lossless": True}}.get(format, {})
    content = encoded(Image.fromarray(np.ascontiguousarray(undo(upright))), format, exif=exif.tobytes(), **options)
    corners = decode(content, 16).pixels[[3, 3, 12], [3, 12, 3]]
    np.testing.assert_allclose(corners.astype(int), [RED, BLUE, WHITE], atol=6)


@pytest.mark.parametrize("exif", [b"Exif\0\0no TIFF header", b"Exif\0\0MM\0*\0\0"], ids=["no header", "cut short"])
def test_malformed_exif_does_not_lose_the_picture(exif):
    content = encoded(two_colors(), exif=exif)
    with Image.open(BytesIO(content)) as image, pytest.raises(Exception, match=r"not a TIFF|unpack"):
        image.getexif()
    np.testing.assert_allclose(halves(content)[0], RED)


def test_transparency_is_laid_over_white():
    half = np.dstack([np.full((16, 16, 3), RED, np.uint8), np.full((16, 16), 255, np.uint8)])
    half[:8, :, 3] = 0
    half[8:, :, 3] = 128
    upper, lower = halves(encoded(Image.fromarray(half)))
    np.testing.assert_array_equal(upper, WHITE)
    np.testing.assert_allclose(lower, 255 + (np.array(RED) - 255) * 128 / 255, atol=1)


def test_a_transparent_palette_entry_is_laid_over_white():
    image = two_colors().quantize(4)
    clear = image.getpixel((0, 0))
    upper, lower = halves(encoded(image, transparency=clear))
    np.testing.assert_array_equal(upper, WHITE)
    np.testing.assert_allclose(lower, BLUE, atol=2)


@pytest.mark.parametrize(
    ("image", "format"),
    [
        (Image.new("1", (16, 16), 1), "PNG"),
        (Image.linear_gradient("L"), "JPEG"),
        (Image.fromarray(np.arange(256, dtype=np.uint16).reshape(16, 16) * 257), "PNG"),
        (Image.fromarray(np.arange(256, dtype=np.int32).reshape(16, 16)), "TIFF"),
        (Image.fromarray(np.linspace(0, 1, 256, dtype=np.float32).reshape(16, 16)), "TIFF"),
        (Image.linear_gradient("L").convert("LA"), "PNG"),
        (Image.linear_gradient("L").convert("RGB"), "JPEG"),
    ],
    ids=["bilevel", "gray jpeg", "16 bit", "32 bit", "float", "gray with alpha", "gray stored as color"],
)
def test_gray_of_any_kind_is_gray_and_said_to_be(image, format):
    picture = decode(encoded(image, format), 16)
    assert picture.grayscale
    assert np.ptp(picture.pixels.astype(int), axis=-1).max() <= 4


def test_sixteen_bit_gray_keeps_its_tone():
    values = np.array([[0, 65535], [32768, 257 * 100]], np.uint16).repeat(8, 0).repeat(8, 1)
    pixels = decode(encoded(Image.fromarray(values)), 2).pixels
    np.testing.assert_array_equal(pixels[..., 0], [[0, 255], [128, 100]])


def test_sixteen_bit_color_png_keeps_its_color():
    # Pillow cannot write one; the format is simple.
    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    row = b"\0" + struct.pack(">3H", *(257 * value for value in RED)) * 16
    header = struct.pack(">2I5B", 16, 16, 16, 2, 0, 0, 0)
    content = (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(row * 16)) + chunk(b"IEND", b"")
    )
    np.testing.assert_array_equal(decode(content, 8).pixels, np.full((8, 8, 3), RED))


def test_an_embedded_profile_is_converted_to_srgb():
    # sRGB with the primaries of red and green exchanged: what is stored as green must come out red.
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    assert profile.count(b"rXYZ") == profile.count(b"gXYZ") == 1
    exchanged = profile.replace(b"rXYZ", b"....").replace(b"gXYZ", b"rXYZ").replace(b"....", b"gXYZ")
    image = Image.new("RGB", (16, 16), (30, 220, 40))
    np.testing.assert_allclose(decode(encoded(image, icc_profile=exchanged), 8).pixels[0, 0], RED, atol=3)
    np.testing.assert_allclose(decode(encoded(image, icc_profile=profile), 8).pixels[0, 0], (30, 220, 40), atol=1)


@pytest.mark.parametrize("profile", [b"no profile", ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")).tobytes()])
def test_a_profile_that_does_not_fit_is_ignored(profile):
    np.testing.assert_array_equal(halves(encoded(two_colors(), icc_profile=profile))[0], RED)


def test_a_photograph_in_the_multi_picture_format_of_phones_is_read():
    content = encoded(two_colors(), "MPO", save_all=True, append_images=[noise(16, 16)], quality=95)
    assert Image.open(BytesIO(content)).n_frames == 2
    np.testing.assert_allclose(halves(content)[0], RED, atol=8)


@pytest.mark.parametrize("format", ["GIF", "WEBP", "PNG", "TIFF"])
def test_animations_and_pages_are_refused(format):
    content = encoded(noise(16, 16), format, save_all=True, append_images=[noise(16, 16, seed=1)])
    with pytest.raises(BadPicture, match="2 frames or pages"):
        decode(content, 8)


@pytest.mark.parametrize("big", [False, True])
def test_a_tiff_with_thumbnails_gives_the_picture_itself(big):
    file = BytesIO()
    with tifffile.TiffWriter(file, bigtiff=big) as writer:
        writer.write(np.zeros((16, 16, 3), np.uint8), photometric="rgb", subfiletype=1)
        writer.write(np.asarray(two_colors()), photometric="rgb", subfiletype=0)
        writer.write(np.zeros((32, 32), bool), photometric=4, subfiletype=4)  # a mask
    upper, lower = halves(file.getvalue())
    np.testing.assert_array_equal(upper, RED)
    np.testing.assert_array_equal(lower, BLUE)


@pytest.mark.parametrize("byteorder", ["<", ">"])
@pytest.mark.parametrize("layout", ["contig", "separate"])
def test_sixteen_bit_color_tiff_keeps_its_color(byteorder, layout):
    pixels = np.asarray(two_colors()).astype(np.uint16) * 257
    if layout == "separate":
        pixels = np.ascontiguousarray(pixels.transpose(2, 0, 1))
    file = BytesIO()
    tifffile.imwrite(file, pixels, photometric="rgb", planarconfig=layout, byteorder=byteorder)
    np.testing.assert_array_equal(halves(file.getvalue())[0], RED)


@pytest.mark.parametrize(("dtype", "bits"), [("float32", "32-bit"), ("float16", "16-bit"), ("uint32", "32-bit")])
def test_color_tiff_of_unknown_range_is_refused_with_the_reason(dtype, bits):
    file = BytesIO()
    tifffile.imwrite(file, (np.asarray(two_colors()) / 255).astype(dtype), photometric="rgb")
    with pytest.raises(BadPicture, match=bits):
        decode(file.getvalue(), 8)


@pytest.mark.parametrize("zip", [False, True])
def test_a_png_with_long_texts_is_read(zip):
    text = PngInfo()
    for i in range(70 if not zip else 1):
        text.add_text(f"history {i}", "edited " * 200_000, zip=zip)
    content = encoded(two_colors(), pnginfo=text)
    with pytest.raises(ValueError, match="MAX_TEXT"), Image.open(BytesIO(content)) as image:
        image.load()
    np.testing.assert_array_equal(halves(content)[0], RED)


def test_heic_is_read_where_the_plugin_is_installed():
    pytest.importorskip("pillow_heif")
    np.testing.assert_allclose(halves(encoded(two_colors(), "HEIF", quality=95))[0], RED, atol=8)


@pytest.mark.parametrize("size", [(1, 1), (1, 500), (500, 7)])
def test_tiny_pictures_are_refused_when_a_smallest_side_is_asked_for(size):
    with pytest.raises(BadPicture, match=f"only {size[0]}x{size[1]} pixels"):
        decode(encoded(Image.new("RGB", size, RED)), 8, smallest=8)


def test_a_decompression_bomb_is_refused_without_decoding_it():
    # 20,000 x 20,000 pixels declared, nothing behind them.
    header = struct.pack(">2I5B", 20_000, 20_000, 8, 2, 0, 0, 0)
    content = (
        b"\x89PNG\r\n\x1a\n"
        + struct.pack(">I", 13)
        + b"IHDR"
        + header
        + struct.pack(">I", zlib.crc32(b"IHDR" + header))
    )
    with pytest.raises(BadPicture, match="too many pixels"):
        decode(content + struct.pack(">I", 0) + b"IDAT" + struct.pack(">I", zlib.crc32(b"IDAT")), 8)


@pytest.mark.parametrize("content", [b"", b"hello", b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n"])
def test_files_that_are_no_pictures_are_refused(content):
    with pytest.raises(BadPicture, match="not a picture"):
        decode(content, 8)


def picture_or_reason(content: bytes) -> Picture | str:
    try:
        return decode(content, 8)
    except BadPicture as reason:
        return str(reason)


@pytest.mark.filterwarnings("ignore::UserWarning:PIL")
@given(
    st.sampled_from(["PNG", "JPEG", "WEBP", "TIFF", "BMP", "GIF"]),
    st.lists(st.tuples(st.floats(0, 1), st.integers(0, 255)), max_size=6),
    st.floats(0, 1),
)
def test_damaged_files_give_a_square_or_a_one_line_reason(format, changes, cut):
    content = bytearray(encoded(noise(20, 14), format))
    for position, value in changes:
        content[int(position * (len(content) - 1))] = value
    picture = picture_or_reason(bytes(content[: int(cut * len(content)) + 1]))
    if isinstance(picture, str):
        assert picture
        assert "\n" not in picture
    else:
        assert picture.pixels.shape == (8, 8, 3)
        assert picture.pixels.dtype == np.uint8


def test_truncated_pictures_are_refused():
    for format in ("PNG", "JPEG", "WEBP", "BMP"):
        content = encoded(noise(64, 64), format)
        with pytest.raises(BadPicture, match=r"damaged|not a picture"):
            decode(content[: len(content) // 2], 8)


def test_threads_keep_the_order_and_pass_an_error_on():
    assert list(in_threads(lambda x: x * x, range(500), "squares")) == [x * x for x in range(500)]
    with pytest.raises(ZeroDivisionError):
        list(in_threads(lambda x: 1 // (x - 50), range(500), "quotients"))
