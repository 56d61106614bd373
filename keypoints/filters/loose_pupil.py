"""Loose pupils of googly eyes: a ball in a dish, moved by gravity and by the head."""

import math

import numpy as np

GRAVITY = 45.0  # dish radii per second squared
DAMPING = 3.0  # exponential decay rate of the speed, 1 per second
BOUNCE = 0.35  # share of the speed kept when the ball hits the rim
INERTIA = 0.08  # time constant of the smoothing of the head's speed, seconds
STEP = 1 / 120  # longest step of the simulation, seconds
FASTEST = 40.0  # dish radii per second
PAUSE = 0.5  # after a longer gap between frames the ball is reset, seconds


class Ball:
    """A ball in a dish of radius 1; x to the right, y down, in the frame of the art."""

    def __init__(self, place: np.ndarray):
        self.start = np.asarray(place, np.float64)
        self.place = self.start
        self.speed = np.zeros(2)
        self.seen: tuple[float, np.ndarray, np.ndarray] | None = None  # time, centre, its speed

    def step(self, timestamp: float, centre: np.ndarray, to_dish: np.ndarray) -> np.ndarray:
        """Advance to `timestamp`, seconds; returns the position `(2,)` in the dish.

        `centre` `(2,)`: centre of the dish in image pixels. `to_dish` `(2, 2)`: from image pixels
        to dish radii, so that gravity acts towards the bottom of the image for any head roll.
        """
        gap = timestamp - self.seen[0] if self.seen else math.inf
        if self.seen and 0 < gap <= PAUSE:
            _, before, speed_before = self.seen
            # Landmarks are noisy: the speed of the head is smoothed.
            share = 1 - math.exp(-gap / INERTIA)
            speed = speed_before + share * ((centre - before) / gap - speed_before)
            # In the frame of the dish, the ball is accelerated against the motion of the dish.
            self.speed = self.speed - to_dish @ (speed - speed_before)
            self._roll(gap, to_dish @ [0, 1])
            self.seen = (timestamp, centre, speed)
        elif gap != 0:
            self.place, self.speed = self.start, np.zeros(2)
            self.seen = (timestamp, centre, np.zeros(2))
        return self.place

    def _roll(self, seconds: float, down: np.ndarray) -> None:
        pull = GRAVITY * down / max(float(np.linalg.norm(down)), 1e-9)
        speed, place = self.speed, self.place
        speed = speed * min(1, FASTEST / max(float(np.linalg.norm(speed)), 1e-9))
        steps = math.ceil(seconds / STEP)
        for _ in range(steps):
            step = seconds / steps
            speed = (speed + pull * step) * math.exp(-DAMPING * step)
            place = place + speed * step
            reach = np.linalg.norm(place)
            if reach > 1:
                place = place / reach
                outward = max(float(speed @ place), 0)
                speed = speed - (1 + BOUNCE) * outward * place
        self.speed, self.place = speed, place
