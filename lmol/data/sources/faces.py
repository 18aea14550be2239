"""Cartoon faces drawn from parameters, for the embedded data set and for training its base.

A face is a mapping of parameter name to number. Lengths are in pixels of a 64-pixel picture, with
the origin at the middle of the face, x to the right and y down. "Left" is the viewer's left.
"""

from __future__ import annotations

import colorsys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

Face = Mapping[str, float]
Parameters = dict[str, NDArray[np.float64]]
Colour = tuple[int, int, int]
Point = tuple[float, float]

FEATURES = (
    "face_ratio",
    "jaw",
    "eye_size",
    "eye_dist",
    "eye_tilt",
    "nose_width",
    "nose_length",
    "lip_fullness",
    "smile",
)
"""Proportions and expression, N(0, 0.55) clipped to -1..1; they move the score."""

FLAWS = {"blemish": (1.3, 1.7), "asymmetry": (1.3, 1.9)}
"""Skin texture and asymmetry, 0..1, with their beta distributions; they also move the score."""

COLOURS = (
    "background_red",
    "background_green",
    "background_blue",
    "skin",
    "hair_hue",
    "hair_value",
)
UNIT_NUISANCES = (*COLOURS, "iris", "hair_length")
"""Colours, iris and hair length, uniform on 0..1; they do not move the score."""

SIGNED_NUISANCES = ("yaw", "light", "shift_x", "shift_y", "scale", "brow")
"""Pose, light and brows, uniform on -1..1; they do not move the score."""

SUPERSAMPLING = 3
WHITE, PUPIL, LIPS, LIP_LINE = (250, 250, 250), (15, 12, 12), (178, 62, 74), (110, 25, 35)


def sample_faces(num: int, seed: int) -> Parameters:
    """Draw the parameters of `num` faces, each an array of shape (num,); a seed fixes the faces."""
    rng = np.random.default_rng(seed)
    faces = {name: np.clip(rng.normal(0, 0.55, num), -1, 1) for name in FEATURES}
    faces |= {name: rng.beta(a, b, num) for name, (a, b) in FLAWS.items()}
    faces["side"] = rng.choice([-1.0, 1.0], num)
    faces |= {name: rng.uniform(0, 1, num) for name in UNIT_NUISANCES}
    faces |= {name: rng.uniform(-1, 1, num) for name in SIGNED_NUISANCES}
    faces["spot_seed"] = rng.integers(0, 2**31, num).astype(float)
    return faces


def draw_face(face: Face, size: int) -> Image.Image:
    """Draw an RGB picture of size x size pixels."""
    return _Drawing(face, size).picture()


@dataclass(frozen=True)
class _Skin:
    """Skin tone under the light of the scene, and darker tones of it."""

    tone: NDArray[np.float64]

    @classmethod
    def of(cls, face: Face) -> _Skin:
        light, dark = np.array([235.0, 195, 165]), np.array([115.0, 115, 110])
        return cls((light - dark * face["skin"]) * (1 + 0.12 * face["light"]))

    def times(self, *factors: float) -> Colour:
        red, green, blue = np.clip(self.tone * np.array(factors), 0, 255).astype(int).tolist()
        return red, green, blue


class _Drawing:
    """One face on a supersampled canvas."""

    def __init__(self, face: Face, size: int) -> None:
        self.face, self.size = face, size
        self.unit = size * SUPERSAMPLING / 64
        self.scale = 1 + 0.05 * face["scale"]
        self.centre = (32 + 2 * face["shift_x"], 33 + 2 * face["shift_y"])
        self.yaw = 1.6 * face["yaw"]
        self.lean = face["asymmetry"] * face["side"]
        self.width = 17.5 - 2.6 * face["face_ratio"]
        self.height = 21 + 2.2 * face["face_ratio"]
        self.skin = _Skin.of(face)
        self.hair = _hsv(
            0.02 + 0.11 * face["hair_hue"],
            0.35 + 0.4 * face["hair_hue"],
            0.1 + 0.75 * face["hair_value"],
        )
        background = tuple(
            int(90 + 140 * face[f"background_{c}"]) for c in ("red", "green", "blue")
        )
        self.canvas = Image.new("RGB", (size * SUPERSAMPLING,) * 2, background)
        self.draw = ImageDraw.Draw(self.canvas)

    def picture(self) -> Image.Image:
        self._back_hair()
        self._head()
        self._fringe()
        self._eye(-1)
        self._eye(1)
        self._nose()
        self._mouth()
        self._spots()
        return self.canvas.resize((self.size, self.size), Image.Resampling.BOX)

    def _back_hair(self) -> None:
        wide = self.width + 4.5
        self._ellipse(0, -5, wide, self.height - 1, self.hair)
        if self.face["hair_length"] > 0.35:
            bottom = 22 * self.face["hair_length"] - 2
            self._polygon(
                [(-wide, -5), (wide, -5), (wide - 1, bottom), (1 - wide, bottom)], self.hair
            )

    def _head(self) -> None:
        shade = self.skin.times(0.78, 0.78, 0.78)
        self._polygon([(-6, 14), (6, 14), (9, 34), (-9, 34)], shade)
        turn = np.linspace(0, 2 * np.pi, 60)
        low = np.clip(np.sin(turn), 0, 1)
        narrowing = 1 - (0.18 + 0.26 * self.face["jaw"]) * low
        x, y = self.width * np.cos(turn) * narrowing, self.height * np.sin(turn)
        self._polygon(_points(x, y), self.skin.times(1, 1, 1))

    def _fringe(self) -> None:
        turn = np.linspace(np.pi, 2 * np.pi, 30)
        top = _points((self.width + 0.6) * np.cos(turn), -8 + (self.height - 7) * np.sin(turn))
        edge = [(self.width * 0.75, -9.5), (0.0, -13.0), (-self.width * 0.75, -9.5)]
        self._polygon([*top, *edge], self.hair)

    def _eye(self, side: int) -> None:
        size = 2.6 + 1.05 * self.face["eye_size"]
        grow = 1 + side * self.lean * 0.18
        x = side * (6.9 + 1.5 * self.face["eye_dist"]) + self.yaw
        y = -2.5 - side * self.lean * 2.0
        wide, high = size * 1.25 * grow, size * 0.8 * grow
        tilt = side * -1.9 * self.face["eye_tilt"]
        turn = np.linspace(0, 2 * np.pi, 24)
        rim_y = y + high * np.sin(turn) + 0.8 * tilt * np.cos(turn)
        self._polygon(_points(x + wide * np.cos(turn), rim_y), WHITE)
        gaze = x + self.yaw * 0.3
        self._ellipse(
            gaze, y, high * 0.82, high * 0.82, _hsv(0.08 + 0.52 * self.face["iris"], 0.6, 0.45)
        )
        self._ellipse(gaze, y, high * 0.42, high * 0.42, PUPIL)
        self._brow(x, y - high - 2.2 - 0.8 * self.face["brow"], 0.6 * tilt)

    def _brow(self, x: float, y: float, tilt: float) -> None:
        colour = (int(self.hair[0] * 0.6), int(self.hair[1] * 0.6), int(self.hair[2] * 0.6))
        left, right = x - 3.6, x + 3.6
        corners = [
            (left, y + 0.6 - tilt),
            (right, y + 0.6 + tilt),
            (right, y - 0.5 + tilt),
            (left, y - 0.5 - tilt),
        ]
        self._polygon(corners, colour)

    def _nose(self) -> None:
        x, wide = self.yaw * 1.4, 2.7 + 1.3 * self.face["nose_width"]
        bottom = 4.1 + 2.2 * self.face["nose_length"]
        outline = [
            (x - 0.7, -1.5),
            (x + 0.7, -1.5),
            (x + wide, bottom + 1),
            (x, bottom + 2.1),
            (x - wide, bottom + 1),
        ]
        self._polygon(outline, self.skin.times(0.78, 0.78, 0.78))

    def _mouth(self) -> None:
        along = np.linspace(-1, 1, 14)
        x = self.yaw + self.lean * 1.2 + (5.6 + self.face["smile"]) * along
        middle = 11.6 + 2.3 * self.face["smile"] * (0.5 - along**2) + self.lean * 1.1 * along
        lip = (1.35 + 0.75 * self.face["lip_fullness"]) * (1 - along**2)
        upper, lower = _points(x, middle - lip), _points(x, middle + 1.15 * lip)
        self._polygon([*upper, *lower[::-1]], LIPS)
        line = [self._place(point) for point in _points(x, middle)]
        self.draw.line(line, fill=LIP_LINE, width=max(1, int(0.7 * self.unit)))

    def _spots(self) -> None:
        rng = np.random.default_rng(int(self.face["spot_seed"]))
        for _ in range(round(14 * self.face["blemish"])):
            turn, far = rng.uniform(0, 2 * np.pi), 0.8 * np.sqrt(rng.uniform(0.05, 0.8))
            x = far * self.width * np.cos(turn)
            y = far * self.height * np.sin(turn) + 2
            radius = rng.uniform(0.85, 1.25)
            self._ellipse(x, y, radius, radius, self.skin.times(0.72, 0.48, 0.44))

    def _ellipse(self, x: float, y: float, wide: float, high: float, colour: Colour) -> None:
        box = [self._place((x - wide, y - high)), self._place((x + wide, y + high))]
        self.draw.ellipse(box, fill=colour)

    def _polygon(self, points: Sequence[Point], colour: Colour) -> None:
        self.draw.polygon([self._place(point) for point in points], fill=colour)

    def _place(self, point: Point) -> Point:
        """Return the canvas position of a point of the face."""
        (x, y), (centre_x, centre_y) = point, self.centre
        return (centre_x + self.scale * x) * self.unit, (centre_y + self.scale * y) * self.unit


def _points(x: NDArray[np.float64], y: NDArray[np.float64]) -> list[Point]:
    return list(zip(x.tolist(), y.tolist(), strict=True))


def _hsv(hue: float, saturation: float, value: float) -> Colour:
    red, green, blue = colorsys.hsv_to_rgb(hue, saturation, value)
    return int(255 * red), int(255 * green), int(255 * blue)
