"""Art of the comic faces: googly eyes, an orange, its mouth."""

import cv2
import numpy as np

from keypoints.synthetic.canvas import smooth
from tools.filter_art.paint import Sheet


def googly_eye() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Dish, pupil and reflections of the cover, each 240 x 240 with the dish in the centre."""
    c, r = 119.5, 104
    dish = Sheet(240, 240)
    dish.paint(dish.soften(dish.ellipse(c, c + 7, r, r), 5), (0, 0, 0), 0.4)
    dish.paint(dish.ellipse(c, c, r, r), (70, 72, 80))
    reach = np.hypot(dish.x - c + 14, dish.y - c + 18) / r
    dish.paint(dish.ellipse(c, c, r - 4, r - 4),
               dish.shade((1.35 - reach) * 1.6, (188, 194, 208), (255, 255, 255)))  # fmt: skip
    ring = dish.ellipse(c, c, r - 4, r - 4) - dish.ellipse(c, c + 2, r - 12, r - 12)
    dish.paint(dish.soften(ring.clip(0, 1), 2.5), (60, 66, 90), 0.35)

    pupil = Sheet(240, 240)
    pupil.paint(pupil.soften(pupil.ellipse(c + 1, c + 6, 53, 53), 4), (20, 22, 40), 0.4)
    reach = np.hypot(pupil.x - c + 16, pupil.y - c + 20) / 54
    pupil.paint(pupil.ellipse(c, c, 54, 54), pupil.shade(1 - reach, (8, 8, 11), (62, 62, 72)))

    glint = Sheet(240, 240)
    moon = glint.ellipse(c, c, r - 9, r - 9) * (1 - glint.ellipse(c - 14, c - 18, r - 9, r - 9))
    glint.paint(glint.soften(moon, 4), (255, 255, 255), 0.35)
    glint.paint(glint.soften(glint.ellipse(c - 42, c - 48, 25, 17), 3), (255, 255, 255), 0.85)
    glint.paint(glint.soften(glint.ellipse(c - 14, c - 68, 7, 5), 1.5), (255, 255, 255), 0.7)
    return dish.finish(), pupil.finish(), glint.finish()


def eye_lid() -> np.ndarray:
    """An orange eyelid over the upper third of the 240 x 240 dish, with a reflection."""
    c, r = 119.5, 107
    lid = Sheet(240, 240)
    disc = lid.ellipse(c, c, r, r)
    upper = disc * (1 - lid.ellipse(c, c + 94, 190, 128))
    lid.paint(lid.soften(np.roll(upper, 21, axis=0), 4) * lid.ellipse(c, c, r - 5, r - 5),
              (40, 20, 10), 0.45)  # fmt: skip
    lid.paint(upper, lid.shade((lid.y - 8) / 90, (255, 184, 70), (226, 112, 16)))
    lid.paint(upper * lid.ellipse(c, c + 94, 194, 133), (158, 66, 6), 0.9)
    lid.paint(lid.soften(lid.ellipse(c - 30, 34, 34, 9), 5), (255, 240, 190), 0.6)
    lid.paint(lid.soften(lid.ellipse(c - 36, c - 26, 14, 10), 2), (255, 255, 255), 0.8)
    return lid.finish()


def orange() -> np.ndarray:
    """An orange of radius 240 centred at (259.5, 330), 520 x 580, with a stalk and a leaf."""
    x, y, r = 259.5, 330.0, 240.0
    sheet = Sheet(520, 580)
    u, v = (sheet.x - x) / r, (sheet.y - y) / (0.96 * r)
    depth = np.sqrt(np.clip(1 - u * u - v * v, 0, 1))
    # A lamp up on the viewer's left, and light thrown back from below.
    light = np.clip(-0.45 * u - 0.55 * v + 0.70 * depth, 0, 1)
    bounce = np.clip(0.3 * u + 0.8 * v, 0, 1) * (1 - depth) * 0.5
    skin = sheet.shade(light * 1.15 + bounce, (168, 62, 0), (255, 160, 22))
    skin += (np.clip(light - 0.72, 0, 1) * 1.6)[..., None] * np.array([40, 60, 70], np.float32)
    body = sheet.ellipse(x, y, r, 0.96 * r)
    sheet.paint(body, skin.clip(0, 255))
    # Pores on a spiral over the ball: even on the ball, crowded towards its rim.
    number = np.arange(1, 900)
    height = 1 - number / 900
    turn = number * np.pi * (3 - np.sqrt(5))
    across = np.sqrt(1 - height**2)
    pores, rims = np.zeros_like(sheet.alpha), np.zeros_like(sheet.alpha)
    scale = sheet.alpha.shape[1] / sheet.width
    for a, b, c in zip(across * np.cos(turn), across * np.sin(turn), height):
        centre = (int((x + r * a) * scale), int((y + 0.96 * r * b) * scale))
        axes = (int(3.0 * scale), max(int(3.0 * scale * c), 1))
        angle = np.degrees(np.arctan2(b, a)) + 90
        cv2.ellipse(pores, centre, axes, angle, 0, 360, 1.0, -1, cv2.LINE_AA)
        lower = (centre[0] + 4, centre[1] + 5)
        cv2.ellipse(rims, lower, axes, angle, 0, 360, 1.0, -1, cv2.LINE_AA)
    sheet.paint(sheet.soften(rims, 1.0) * body, (255, 205, 110), 0.28)
    sheet.paint(sheet.soften(pores, 0.9) * body, (150, 60, 0), 0.34)
    shine = sheet.ellipse(x - 96, y - 128, 62, 36)
    sheet.paint(sheet.soften(shine, 16) * body, (255, 250, 225), 0.55)
    _draw_stalk(sheet, x, y - 0.96 * r + 14)
    return sheet.finish()


def _draw_stalk(sheet: Sheet, x: float, y: float) -> None:
    sheet.paint(sheet.soften(sheet.ellipse(x, y, 46, 15), 6), (120, 52, 0), 0.7)
    star = [(x + (30 if k % 2 else 13) * np.cos(k * np.pi / 6),
             y + (10 if k % 2 else 4) * np.sin(k * np.pi / 6)) for k in range(12)]  # fmt: skip
    sheet.paint(sheet.curve(star, steps=4), (72, 104, 30))
    stalk = [(x - 8, y), (x - 6, y - 30), (x - 13, y - 50), (x + 3, y - 54), (x + 8, y - 30),
             (x + 9, y)]  # fmt: skip
    sheet.paint(
        sheet.curve(stalk), sheet.shade((sheet.x - x + 14) / 24, (128, 96, 46), (74, 50, 20))
    )
    middle = np.array([(x + 2, y - 26), (x + 50, y - 62), (x + 106, y - 72), (x + 158, y - 52)])
    leaf = [(x + 2, y - 24), (x + 36, y - 78), (x + 96, y - 100), (x + 160, y - 52),
            (x + 104, y - 36), (x + 46, y - 32)]  # fmt: skip
    blade = sheet.curve(leaf)
    sheet.paint(sheet.soften(blade, 5), (60, 30, 0), 0.25)
    sheet.paint(blade, sheet.shade((sheet.y - y + 100) / 70, (128, 190, 60), (44, 112, 30)))
    rib = smooth(middle, closed=False)
    below = sheet.polygon(np.concatenate([rib, [(x + 104, y), (x + 2, y)]]))
    sheet.paint(blade * below, (20, 74, 20), 0.30)
    for share in (0.25, 0.45, 0.65):
        start = rib[int(share * (len(rib) - 1))]
        for away in ((26, -18), (24, 15)):
            sheet.paint(
                sheet.line(np.array([start, start + away]), 1.6) * blade, (190, 225, 120), 0.5
            )
    sheet.paint(sheet.line(rib, 2.6) * blade, (190, 225, 120), 0.85)


# Positions of the twenty lip landmarks (48 to 67) in mouth.png.
LIPS = np.array([
    (50, 130), (98, 84), (152, 62), (180, 68), (208, 62), (262, 84), (310, 130), (268, 196),
    (222, 224), (180, 230), (138, 224), (92, 196), (72, 130), (132, 102), (180, 100), (228, 102),
    (288, 130), (232, 184), (180, 192), (128, 184),
], float)  # fmt: skip


def mouth() -> np.ndarray:
    """A wide open mouth, 360 x 290: lips, teeth, tongue; `LIPS` are its landmarks."""
    sheet = Sheet(360, 290)
    lips = sheet.polygon(smooth(LIPS[:12], steps=16))
    inner = sheet.polygon(smooth(LIPS[12:], steps=16))
    sheet.paint(sheet.soften(lips, 7), (110, 36, 0), 0.75)
    level = np.clip((sheet.y - 62) / 168, 0, 1)
    sheet.paint(lips, sheet.shade(np.abs(level - 0.5) * 2, (196, 58, 24), (226, 92, 40)))
    crease = sheet.soften((sheet.soften(inner, 5) > 0.02).astype(np.float32), 4) * lips
    sheet.paint(crease, (150, 34, 16), 0.55)
    sheet.paint(inner, sheet.shade((sheet.y - 95) / 90, (46, 6, 10), (104, 16, 22)))
    sheet.paint(sheet.soften(sheet.ellipse(180, 196, 64, 34), 2) * inner, (222, 92, 98))
    sheet.paint(sheet.soften(sheet.line(np.array([(180, 172), (180, 196)]), 4), 2) * inner,
                (176, 56, 66), 0.7)  # fmt: skip
    teeth = sheet.polygon(np.array([(70, 80), (290, 80), (280, 122), (232, 131), (180, 134),
                                    (128, 131), (80, 122)]))  # fmt: skip
    sheet.paint(sheet.soften(np.roll(teeth, 12, axis=0), 3) * inner, (30, 0, 4), 0.6)
    sheet.paint(teeth * inner, sheet.shade((sheet.y - 98) / 34, (214, 206, 192), (255, 252, 244)))
    for x in (104, 130, 155, 180, 205, 230, 256):
        gap = sheet.line(np.array([(x, 84), (x + (x - 180) * 0.03, 134)]), 1.6)
        sheet.paint(gap * teeth * inner, (150, 130, 120), 0.55)
    for x, y, across, down in ((180, 211, 70, 6), (130, 80, 24, 5), (230, 80, 24, 5)):
        sheet.paint(
            sheet.soften(sheet.ellipse(x, y, across, down), 4) * lips, (255, 190, 150), 0.55
        )
    return sheet.finish()
