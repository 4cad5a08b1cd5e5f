"""Colour spaces that picture files name are converted to sRGB, against published matrices."""

from __future__ import annotations

import struct
import zlib
from io import BytesIO

import numpy as np
import pytest
from PIL import Image, ImageCms, features

from study.data.images import BadPicture, decode

# To XYZ (D65), as published: Adobe RGB (1998) specification, SMPTE EG 432-1, ITU-R BT.2020, IEC 61966-2-1.
TO_XYZ = {
    "adobe": np.array([[0.57667, 0.18556, 0.18823], [0.29734, 0.62736, 0.07529], [0.02703, 0.07069, 0.99134]]),
    "p3": np.array([[0.486571, 0.265668, 0.198217], [0.228975, 0.691739, 0.079287], [0, 0.045113, 1.043944]]),
    "2020": np.array([[0.636958, 0.144617, 0.168881], [0.262700, 0.677998, 0.059302], [0, 0.028073, 1.060985]]),
    "srgb": np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]]),
}
PATCHES = np.array(
    [(200, 100, 50), (60, 140, 90), (90, 110, 180), (128, 128, 128), (255, 255, 255), (0, 0, 0), (20, 180, 60)],
    np.uint8,
)
ADOBE_CURVE = 563 / 256


def srgb_linear(v: np.ndarray) -> np.ndarray:
    return np.where(v <= 0.04045, v / 12.92, ((v + 0.055) / 1.055) ** 2.4)


def expected(space: str, linear, stored: np.ndarray = PATCHES) -> np.ndarray:
    light = linear(stored / 255) @ (np.linalg.inv(TO_XYZ["srgb"]) @ TO_XYZ[space]).T
    light = light.clip(0, 1)
    return 255 * np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055)


def strip() -> Image.Image:
    """The patches, each 16x16 pixels, from left to right."""
    return Image.fromarray(PATCHES.repeat(16, 0)[None].repeat(16, 0))


def encoded(image: Image.Image, format: str = "PNG", **options) -> bytes:
    file = BytesIO()
    image.save(file, format, **options)
    return file.getvalue()


def decoded(encode) -> tuple[np.ndarray, str]:
    """Each patch as a picture of its own, read again; and the colour space that was found."""
    pictures = [decode(encode(Image.new("RGB", (16, 16), tuple(map(int, patch)))), 8) for patch in PATCHES]
    assert len({picture.color_space for picture in pictures}) == 1
    return np.array([picture.pixels[4, 4] for picture in pictures]).astype(float), pictures[0].color_space


def png_with(*chunks: tuple[bytes, bytes]):
    def encode(image: Image.Image) -> bytes:
        content = encoded(image)
        after_header = 8 + 25
        added = b"".join(
            struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))
            for name, body in chunks
        )
        return content[:after_header] + added + content[after_header:]

    return encode


def gama(value: float) -> tuple[bytes, bytes]:
    return b"gAMA", struct.pack(">I", round(value * 100_000))


def chrm(*points: float) -> tuple[bytes, bytes]:
    return b"cHRM", struct.pack(">8I", *(round(100_000 * value) for value in points))


D65, REC_709 = (0.3127, 0.3290), (0.64, 0.33, 0.30, 0.60, 0.15, 0.06)
ADOBE = (0.64, 0.33, 0.21, 0.71, 0.15, 0.06)


def with_exif(space: int | None, index: str | None):
    exif = Image.Exif()
    ifd = exif.get_ifd(0x8769)
    if space is not None:
        ifd[0xA001] = space
    if index is not None:
        ifd[0xA005] = {1: index}
    return lambda image: encoded(image, exif=exif.tobytes())


@pytest.mark.parametrize(("space", "index"), [(65535, "R03\0"), (65535, "R03"), (2, None), (2, "R98")])
def test_adobe_rgb_by_exif_is_converted(space, index):
    found, name = decoded(with_exif(space, index))
    np.testing.assert_allclose(found, expected("adobe", lambda v: v**ADOBE_CURVE), atol=1)
    assert "Adobe RGB" in name


@pytest.mark.parametrize(("space", "index"), [(1, "R98"), (1, None), (65535, None), (65535, "R98"), (1, "R03")])
def test_other_exif_leaves_srgb(space, index):
    found, name = decoded(with_exif(space, index))
    np.testing.assert_array_equal(found, PATCHES)
    assert name == "sRGB"


def test_an_embedded_profile_comes_before_exif():
    exif = Image.Exif()
    exif.get_ifd(0x8769)[0xA001] = 2
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    found, name = decoded(lambda image: encoded(image, exif=exif.tobytes(), icc_profile=profile))
    np.testing.assert_allclose(found, PATCHES, atol=1)
    assert name.startswith("ICC profile")


@pytest.mark.parametrize(
    ("codes", "space", "linear"),
    [
        ((12, 13), "p3", srgb_linear),
        ((9, 1), "2020", srgb_linear),
        ((1, 8), "srgb", lambda v: v),
        ((1, 4), "srgb", lambda v: v**2.2),
    ],
)
def test_code_points_of_png_are_converted(codes, space, linear):
    found, name = decoded(png_with((b"cICP", bytes([*codes, 0, 1]))))
    np.testing.assert_allclose(found, expected(space, linear), atol=1)
    assert f"{codes[0]}/{codes[1]}" in name


@pytest.mark.skipif(not features.check("avif"), reason="this Pillow has no AVIF")
@pytest.mark.parametrize(("codes", "space"), [((12, 13), "p3"), ((9, 1), "2020")])
def test_code_points_of_avif_are_converted(codes, space):
    def as_srgb(image: Image.Image) -> bytes:
        content = encoded(image, "AVIF", quality=100, subsampling="4:4:4")
        assert content.count(b"colrnclx\0\1\0\x0d") == 1
        return content

    stored, _ = decoded(as_srgb)  # AVIF is lossy
    said = b"colrnclx" + struct.pack(">2H", *codes)
    found, name = decoded(lambda image: as_srgb(image).replace(b"colrnclx\0\1\0\x0d", said))
    np.testing.assert_allclose(found, expected(space, srgb_linear, stored), atol=1)
    assert f"{codes[0]}/{codes[1]}" in name


@pytest.mark.parametrize("codes", [(1, 13), (1, 1), (2, 2)])
def test_code_points_of_srgb_change_nothing(codes):
    found, name = decoded(png_with((b"cICP", bytes([*codes, 0, 1]))))
    np.testing.assert_array_equal(found, PATCHES)
    assert name == "sRGB"


@pytest.mark.parametrize(
    ("body", "part"),
    [((9, 16, 0, 1), "PQ"), ((9, 18, 0, 1), "HLG"), ((200, 13, 0, 1), "200/13"), ((1, 13, 0, 0), "range")],
)
def test_what_cannot_be_converted_is_refused_with_the_reason(body, part):
    with pytest.raises(BadPicture, match=part) as reason:
        decode(png_with((b"cICP", bytes(body)))(strip()), 8)
    assert "\n" not in str(reason.value)


@pytest.mark.parametrize(
    ("chunks", "space", "linear"),
    [
        ([gama(1.0)], "srgb", lambda v: v),
        ([gama(1 / 1.8)], "srgb", lambda v: v**1.8),
        ([chrm(*D65, *ADOBE)], "adobe", srgb_linear),
        ([gama(1 / ADOBE_CURVE), chrm(*D65, *ADOBE)], "adobe", lambda v: v**ADOBE_CURVE),
        ([gama(1 / 1.8), chrm(*D65, *REC_709)], "srgb", lambda v: v**1.8),
    ],
    ids=["linear", "old Macintosh", "cHRM alone", "Adobe RGB", "gAMA with sRGB's cHRM"],
)
def test_gamma_and_chromaticities_of_png_are_converted(chunks, space, linear):
    found, name = decoded(png_with(*chunks))
    # A stored gamma within 0.005 of sRGB's is read as sRGB's curve.
    np.testing.assert_allclose(found, expected(space, linear), atol=1 if space == "srgb" else 6)
    assert "gAMA" in name or "cHRM" in name


@pytest.mark.parametrize(
    "chunks",
    [
        [gama(0.45455)],
        [gama(0.45455), chrm(*D65, *REC_709)],
        [(b"sRGB", b"\0"), gama(1.0)],
        [gama(0.0)],
        [chrm(*D65, *(0.0,) * 6)],
    ],
    ids=["sRGB's gamma", "sRGB's gamma and chromaticities", "an sRGB chunk", "no gamma", "no triangle"],
)
def test_what_means_srgb_or_nothing_changes_nothing(chunks):
    found, name = decoded(png_with(*chunks))
    np.testing.assert_array_equal(found, PATCHES)
    assert name == "sRGB"


def test_code_points_of_png_come_before_its_gamma():
    found, _ = decoded(png_with((b"cICP", bytes([12, 13, 0, 1])), gama(1.0)))
    np.testing.assert_allclose(found, expected("p3", srgb_linear), atol=1)


def test_another_white_is_adapted_to():
    # With D50 as its white, white stays white and gray stays gray.
    d50 = (0.34567, 0.35850)
    found, _ = decoded(png_with(chrm(*d50, *REC_709)))
    neutral = np.ptp(PATCHES.astype(int), axis=1) == 0
    np.testing.assert_allclose(found[neutral], PATCHES[neutral], atol=1)


def test_a_cmyk_picture_without_a_profile_says_so():
    assert "CMYK" in decode(encoded(strip().convert("CMYK"), "TIFF"), 8).color_space
