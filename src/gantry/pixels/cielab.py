"""Colours as the standard writes them: PCS-Values, CIE L*a*b* under D50 (PS3.3 C.10.7.1.1)."""

from __future__ import annotations


def cielab_to_rgb(encoded: tuple[int, int, int]) -> tuple[int, int, int]:
    """sRGB of a colour as the standard writes it: L*, a*, b* in 16 bits each (PS3.3 C.10.7.1.1)."""
    lightness = encoded[0] * 100 / 65535
    a, b = (value * 255 / 65535 - 128 for value in encoded[1:])
    fy = (lightness + 16) / 116
    ratios = [f**3 if f**3 > 0.008856 else (f - 16 / 116) / 7.787 for f in (fy + a / 500, fy, fy - b / 200)]
    x, y, z = (ratio * white for ratio, white in zip(ratios, (0.96422, 1.0, 0.82521), strict=True))  # D50
    linear = (
        3.1338561 * x - 1.6168667 * y - 0.4906146 * z,
        -0.9787684 * x + 1.9161415 * y + 0.0334540 * z,
        0.0719453 * x - 0.2289914 * y + 1.4052427 * z,
    )
    red, green, blue = (_srgb_curve(min(max(value, 0.0), 1.0)) for value in linear)
    return red, green, blue


def rgb_to_cielab(rgb: tuple[int, int, int]) -> tuple[int, int, int]:
    """A colour of sRGB as the standard writes it; the inverse of `cielab_to_rgb`."""
    red, green, blue = (_linear(value / 255) for value in rgb)
    x = 0.4360747 * red + 0.3850649 * green + 0.1430804 * blue
    y = 0.2225045 * red + 0.7168786 * green + 0.0606169 * blue
    z = 0.0139322 * red + 0.0971045 * green + 0.7141733 * blue
    fx, fy, fz = (
        ratio ** (1 / 3) if ratio > 0.008856 else 7.787 * ratio + 16 / 116
        for ratio in (x / 0.96422, y, z / 0.82521)
    )
    coordinates = ((116 * fy - 16) / 100, (500 * (fx - fy) + 128) / 255, (200 * (fy - fz) + 128) / 255)
    lightness, a, b = (round(65535 * min(max(value, 0.0), 1.0)) for value in coordinates)
    return lightness, a, b


def _linear(value: float) -> float:
    return value / 12.92 if value <= 0.04045 else ((value + 0.055) / 1.055) ** 2.4


def _srgb_curve(value: float) -> int:
    share = 12.92 * value if value <= 0.0031308 else 1.055 * value ** (1 / 2.4) - 0.055
    return round(255 * share)
