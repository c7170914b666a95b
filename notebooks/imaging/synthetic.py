"""Made-up chest images of made-up hospitals, some with a nodule: the columns of `dictionary.toml`, and no real person.

An image is drawn, not photographed: two lungs, the heart between them, ribs, vessels, and in some a round soft spot in
a lung. What a nodule looks like is the same everywhere, so there is something to learn together. Scanners differ, as
real ones do: in exposure, contrast, sharpness and grain; hospitals differ in how often they see a nodule, and where.
No number was measured from real patients.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.ndimage import gaussian_filter

from policies.errors import InvalidInput

SIZE = 48  # pixels a side
_IMAGES_EACH = 1.4  # of one patient, on average
_Y, _X = np.mgrid[0:SIZE, 0:SIZE] / (SIZE - 1)


@dataclass(frozen=True)
class Scanner:
    """How images look. exposure and contrast: a factor and a power on brightness, which is 0 to 1; blur: in
    pixels; grain: the standard deviation of noise."""

    exposure: float
    contrast: float
    blur: float
    grain: float


@dataclass(frozen=True)
class Hospital:
    """prevalence: the share of patients with a nodule. height: where in the lung they are, 0 the top and 1 the base."""

    scanner: Scanner
    prevalence: float
    height: float


def generate(sites: Sequence[str], images_per_site: int | Sequence[int], seed: int) -> dict[str, pd.DataFrame]:
    """A table for each hospital. It depends on the hospital's name and size and the seed, not on the others.

    images_per_site: for all of them, or one number each.
    """
    sizes = [images_per_site] * len(sites) if isinstance(images_per_site, int) else list(images_per_site)
    if len(set(sites)) != len(sites) or len(sizes) != len(sites) or min(sizes, default=0) < 1:
        raise InvalidInput("Each hospital needs a name of its own and at least one image.", "Give one size for each.")
    return {
        name: _table(name, size, np.random.default_rng([seed, zlib.crc32(name.encode())]))
        for name, size in zip(sites, sizes, strict=True)
    }


def _table(name: str, images: int, rng: np.random.Generator) -> pd.DataFrame:
    hospital = _hospital(rng)
    patient = np.sort(rng.integers(0, max(1, round(images / _IMAGES_EACH)), images))
    has_nodule = rng.random(patient.max() + 1) < hospital.prevalence
    projection = rng.choice(["front", "back"], images, p=[0.3, 0.7])
    cells = [
        _image(bool(has_nodule[p]), view == "front", hospital, rng) for p, view in zip(patient, projection, strict=True)
    ]
    return pd.DataFrame(
        {
            "patient_id": [f"{name}-{number:06d}" for number in patient],
            "radiograph": pd.Series(cells, dtype=object),
            "projection": projection,
            "nodule": has_nodule[patient].astype(int),
        }
    )


def _hospital(rng: np.random.Generator) -> Hospital:
    scanner = Scanner(
        exposure=float(rng.uniform(0.65, 1.2)),
        contrast=float(rng.uniform(0.7, 1.5)),
        blur=float(rng.uniform(0.3, 0.9)),
        grain=float(rng.uniform(0.02, 0.06)),
    )
    return Hospital(scanner, prevalence=float(rng.uniform(0.3, 0.5)), height=float(rng.uniform(0.25, 0.75)))


def _image(nodule: bool, front: bool, hospital: Hospital, rng: np.random.Generator) -> bytes:
    """One byte a pixel, row by row from the top."""
    drawn = _chest(front, rng)
    for _ in range(rng.integers(2, 6)):  # vessels seen from their end: small, sharp, and harmless
        drawn += rng.uniform(0.1, 0.3) * _spot(*_in_lung(rng, rng.random()), 0.012, rng)
    if nodule:
        height = float(np.clip(rng.normal(hospital.height, 0.2), 0, 1))
        drawn += rng.uniform(0.3, 0.55) * _spot(*_in_lung(rng, height), rng.uniform(0.045, 0.08), rng)
    scanner = hospital.scanner
    seen = gaussian_filter(drawn, scanner.blur).clip(0, 1.3) ** scanner.contrast * scanner.exposure
    seen += rng.normal(0, scanner.grain, seen.shape)
    return bytes((seen.clip(0, 1) * 255).astype(np.uint8).tobytes())


def _chest(front: bool, rng: np.random.Generator) -> np.ndarray:
    """Brightness without nodule or vessels, (SIZE, SIZE)."""
    shift, size = rng.normal(0, 0.015), rng.normal(1, 0.04)
    body = _inside(0.5 + shift, 0.6, 0.52 * size, 0.62 * size, 0.06)
    lungs = np.maximum(
        _inside(0.3 + shift, 0.48, 0.16 * size, 0.34 * size, 0.04),
        _inside(0.7 + shift, 0.48, 0.16 * size, 0.34 * size, 0.04),
    )
    heart = _inside(0.55 + shift, 0.62, (0.2 if front else 0.15) * size, 0.2 * size, 0.05)
    spine = np.exp(-(((_X - 0.5 - shift) / 0.035) ** 2))
    start = rng.uniform(0.0, 0.1)
    arch = _Y - 0.35 * (_X - 0.5 - shift) ** 2 * 2
    ribs = np.maximum(0, np.sin(2 * np.pi * (arch - start) / 0.13)) ** 4
    drawn = 0.75 * body - 0.5 * lungs * (1 - 0.8 * heart) + 0.12 * spine * body + 0.09 * ribs * body
    return drawn + 0.06 * gaussian_filter(rng.normal(0, 1, drawn.shape), 1.5)


def _inside(x: float, y: float, wide: float, high: float, soft: float) -> np.ndarray:
    """An ellipse: 1 inside, 0 outside, with a soft edge."""
    away = np.sqrt(((_X - x) / wide) ** 2 + ((_Y - y) / high) ** 2)
    return 1 / (1 + np.exp((away - 1) / soft))


def _in_lung(rng: np.random.Generator, height: float) -> tuple[float, float]:
    """A place in either lung."""
    side = rng.choice([0.29, 0.71])
    return side + rng.uniform(-0.07, 0.07), 0.24 + 0.46 * height


def _spot(x: float, y: float, radius: float, rng: np.random.Generator) -> np.ndarray:
    """A round spot of brightness 1, not quite round."""
    stretch = rng.uniform(0.85, 1.15)
    return np.exp(-(((_X - x) / (radius * stretch)) ** 2 + ((_Y - y) / (radius / stretch)) ** 2))
