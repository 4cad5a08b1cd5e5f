"""Which colour space a picture file says its colours are in, and their conversion to sRGB.

What browsers honour, the first that applies: a PNG's cICP, an embedded ICC profile, an AVIF's nclx, a PNG's sRGB, its
gAMA and cHRM; and, as cameras write it, Adobe RGB in the EXIF data. Without any of them a picture is sRGB.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from io import BytesIO

import numpy as np
from PIL import Image, ImageCms

from study.data.containers import avif_cicp, png_cicp

Curve = Callable[[np.ndarray], np.ndarray]
Point = tuple[float, float]

SRGB = "sRGB"
D65, ILLUMINANT_C = (0.3127, 0.3290), (0.310, 0.316)
REC_709 = ((0.640, 0.330), (0.300, 0.600), (0.150, 0.060))
# ITU-T H.273, table 2: name, primaries, white.
PRIMARIES: dict[int, tuple[str, tuple[Point, Point, Point], Point]] = {
    4: ("BT.470 M", ((0.67, 0.33), (0.21, 0.71), (0.14, 0.08)), ILLUMINANT_C),
    5: ("BT.470 BG", ((0.64, 0.33), (0.29, 0.60), (0.15, 0.06)), D65),
    6: ("SMPTE 170M", ((0.630, 0.340), (0.310, 0.595), (0.155, 0.070)), D65),
    7: ("SMPTE 240M", ((0.630, 0.340), (0.310, 0.595), (0.155, 0.070)), D65),
    8: ("film", ((0.681, 0.319), (0.243, 0.692), (0.145, 0.049)), ILLUMINANT_C),
    9: ("BT.2020", ((0.708, 0.292), (0.170, 0.797), (0.131, 0.046)), D65),
    11: ("DCI P3", ((0.680, 0.320), (0.265, 0.690), (0.150, 0.060)), (0.314, 0.351)),
    12: ("Display P3", ((0.680, 0.320), (0.265, 0.690), (0.150, 0.060)), D65),
    22: ("EBU 3213", ((0.630, 0.340), (0.295, 0.605), (0.155, 0.077)), D65),
}
# Table 3. Browsers show the curves of video with that of sRGB, which is close to what a viewer's display does.
LIKE_SRGB, GAMMAS, HDR = {1, 2, 6, 13, 14, 15}, {4: 2.2, 5: 2.8, 8: 1.0}, {16: "PQ", 18: "HLG"}
BRADFORD = np.array([[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]])
EXIF_IFD, INTEROP_IFD, COLOR_SPACE, INTEROP_INDEX = 0x8769, 0xA005, 0xA001, 1


class Unsupported(Exception):
    """A colour space that cannot be converted; its text is the reason, in one line."""


@dataclass(frozen=True)
class ColorSpace:
    """An RGB space: chromaticities (x, y) of red, green, blue and white, and the curve from stored to linear values."""

    name: str
    primaries: tuple[Point, Point, Point]
    white: Point
    linear: Curve

    def to_srgb(self, pixels: np.ndarray) -> np.ndarray:
        """uint8 (H,W,3) of this space to sRGB, clipped to its gamut."""
        to_xyz = _xyz_from_rgb(self.primaries, self.white)
        adapted = _adaptation(self.white, D65) @ to_xyz
        mixed = self.linear(pixels / 255) @ (np.linalg.inv(_xyz_from_rgb(REC_709, D65)) @ adapted).T
        return np.rint(_srgb_curve(mixed.clip(0, 1)) * 255).astype(np.uint8)


def gamma(exponent: float) -> Curve:
    """The curve v -> v^exponent."""
    return lambda values: values**exponent


def srgb_linear(values: np.ndarray) -> np.ndarray:
    """Linear light of stored sRGB values, 0..1 (IEC 61966-2-1)."""
    return np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)


def _srgb_curve(linear: np.ndarray) -> np.ndarray:
    return np.where(linear <= 0.0031308, linear * 12.92, 1.055 * linear ** (1 / 2.4) - 0.055)


def _xyz_from_rgb(primaries: tuple[Point, Point, Point], white: Point) -> np.ndarray:
    # Columns are the primaries, scaled so that equal parts give the white.
    columns = np.stack([_xyz(point) for point in primaries], axis=1)
    return columns * np.linalg.solve(columns, _xyz(white))


def _xyz(point: Point) -> np.ndarray:
    x, y = point
    return np.array([x / y, 1, (1 - x - y) / y])


def _adaptation(white: Point, to: Point) -> np.ndarray:
    # Bradford: cone responses are scaled from one white to the other.
    scale = (BRADFORD @ _xyz(to)) / (BRADFORD @ _xyz(white))
    return np.linalg.inv(BRADFORD) @ (scale[:, None] * BRADFORD)


ADOBE_RGB = ColorSpace("Adobe RGB", ((0.64, 0.33), (0.21, 0.71), (0.15, 0.06)), D65, gamma(563 / 256))


def convert(image: Image.Image, source: Image.Image, content: bytes) -> tuple[Image.Image, str]:
    """`image` (RGB or CMYK) in sRGB, and the name of the space that it was in ("sRGB" where nothing was to be done).

    source: the opened file that `image` was made from; content: the file's bytes. Raises Unsupported for HDR.
    """
    space = _png_cicp(source, content)
    profile = source.info.get("icc_profile")
    if space is None and profile:
        return _by_profile(image, profile)
    if image.mode == "CMYK":
        return image.convert("RGB"), "CMYK without a profile"
    space = space or _avif_nclx(source, content) or _png_gamma(source) or _exif(source)
    if space is None or space.name == SRGB:
        return image, SRGB
    return Image.fromarray(space.to_srgb(np.asarray(image))), space.name


def _by_profile(image: Image.Image, profile: bytes) -> tuple[Image.Image, str]:
    try:
        opened = ImageCms.ImageCmsProfile(BytesIO(profile))
        name = " ".join(ImageCms.getProfileDescription(opened).split())[:60]
        converted = ImageCms.profileToProfile(image, opened, ImageCms.createProfile("sRGB"), outputMode="RGB")
        return converted, f"ICC profile {name}"
    except (ImageCms.PyCMSError, OSError):  # damaged, or of another colour space than the picture
        return image.convert("RGB"), "ICC profile that does not fit, read as sRGB"


def _cicp(primaries: int, transfer: int, said: str) -> ColorSpace:
    if transfer in HDR:
        raise Unsupported(f"high dynamic range ({HDR[transfer]}): save it as sRGB to use it")
    if (transfer not in LIKE_SRGB and transfer not in GAMMAS) or primaries not in {1, 2, *PRIMARIES}:
        raise Unsupported(f"a colour space that is not supported ({said} {primaries}/{transfer}): save it as sRGB")
    if primaries in (1, 2) and transfer in LIKE_SRGB:
        return ColorSpace(SRGB, REC_709, D65, srgb_linear)
    name, corners, white = PRIMARIES.get(primaries, ("BT.709", REC_709, D65))
    curve = gamma(GAMMAS[transfer]) if transfer in GAMMAS else srgb_linear
    return ColorSpace(f"{name} ({said} {primaries}/{transfer})", corners, white, curve)


def _png_cicp(source: Image.Image, content: bytes) -> ColorSpace | None:
    found = png_cicp(content) if source.format == "PNG" else None
    if found is None:
        return None
    if not found[2]:
        raise Unsupported("a PNG of narrow range (cICP): save it in full range to use it")
    return _cicp(*found[:2], "cICP")


def _avif_nclx(source: Image.Image, content: bytes) -> ColorSpace | None:
    found = avif_cicp(content) if source.format in ("AVIF", "HEIF") else None
    return None if found is None else _cicp(*found, "nclx")


def _png_gamma(source: Image.Image) -> ColorSpace | None:
    if source.format != "PNG" or "srgb" in source.info:
        return None
    stored, corners = source.info.get("gamma"), source.info.get("chromaticity")
    curve, primaries, white = srgb_linear, REC_709, D65
    # 0.45455 is what writers of sRGB put there: their pictures are meant to be shown as sRGB.
    if stored and 0.1 <= stored <= 2 and abs(stored - 1 / 2.2) > 0.005:
        curve = gamma(1 / stored)
    if corners and not np.allclose(corners, [*D65, *np.ravel(REC_709)], atol=0.002):
        try:
            points = [tuple(corners[i : i + 2]) for i in range(0, 8, 2)]
            np.linalg.inv(_xyz_from_rgb(tuple(points[1:]), points[0]))
            white, primaries = points[0], tuple(points[1:])
        except (ZeroDivisionError, np.linalg.LinAlgError):
            pass  # no triangle: not meant
    if curve is srgb_linear and primaries is REC_709:
        return None
    said = "gAMA" if primaries is REC_709 else "cHRM" if curve is srgb_linear else "gAMA and cHRM"
    return ColorSpace(f"RGB by {said}", primaries, white, curve)


def _exif(source: Image.Image) -> ColorSpace | None:
    # DCF 2.0: cameras mark Adobe RGB as uncalibrated (65535) with the interoperability index R03; some write 2.
    try:
        exif = source.getexif().get_ifd(EXIF_IFD)
        space = exif.get(COLOR_SPACE)
        index = str(source.getexif().get_ifd(INTEROP_IFD).get(INTEROP_INDEX, ""))
    except Exception:  # EXIF is often malformed, and no reason to lose the picture
        return None
    return ADOBE_RGB if space == 2 or (space != 1 and index.startswith("R03")) else None
