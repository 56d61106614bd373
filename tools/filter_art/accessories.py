"""Art of accessories: sunglasses, a moustache, a crown."""

import numpy as np

from keypoints.synthetic.canvas import smooth
from tools.filter_art.paint import Sheet


def glasses_front() -> np.ndarray:
    """Two dark lenses in a black frame, 576 x 230; 600 pixels per head unit, eyes in row 102."""
    sheet = Sheet(576, 230)
    lens = np.array([(58, 62), (150, 52), (240, 66), (243, 108), (214, 166), (160, 186), (98, 174),
                     (66, 128)], float)  # fmt: skip
    rim = np.array([(30, 34), (140, 30), (254, 48), (258, 108), (228, 178), (160, 202), (86, 190),
                    (48, 132), (32, 84)], float)  # fmt: skip
    flip = np.array([575.0, 0.0])
    both = [(lens, rim), (flip + lens * [-1, 1], flip + rim * [-1, 1])]
    bridge = [(238, 56), (288, 44), (338, 56), (340, 92), (288, 72), (236, 92)]
    frame = sheet.curve(bridge)
    for _, outer in both:
        frame = np.maximum(frame, sheet.curve(outer.tolist()))
    sheet.paint(sheet.soften(np.roll(frame, 15, axis=0), 6), (0, 0, 0), 0.35)
    sheet.paint(frame, sheet.shade((sheet.y - 30) / 60, (62, 62, 68), (16, 16, 19)))
    for inner, outer in both:
        glass = sheet.curve(inner.tolist())
        sheet.colour *= (1 - 0.12 * glass)[..., None]
        sheet.alpha *= 1 - 0.12 * glass  # a hint of the eyes shows through
        sheet.paint(glass, sheet.shade((sheet.y - 56) / 125, (14, 16, 22), (74, 66, 72)), 0.85)
        left = inner[:, 0].min()
        streak = np.array([(left + 40, 40), (left + 84, 40), (left + 30, 200), (left - 14, 200)])
        thin = np.array([(left + 98, 40), (left + 110, 40), (left + 56, 200), (left + 44, 200)])
        for band, strength in ((streak, 0.20), (thin, 0.14)):
            sheet.paint(sheet.soften(sheet.polygon(band), 1.5) * glass, (225, 235, 255), strength)
        sheet.paint(sheet.line(smooth(np.vstack([inner, inner[:1]]))[:-1], 2.0), (0, 0, 0), 0.8)
        top = smooth(outer[[8, 0, 1, 2]] + [0, 6], closed=False)
        sheet.paint(sheet.soften(sheet.line(top, 3.0), 1.5) * frame, (200, 205, 215), 0.55)
        side = outer[0, 0] + (15 if outer[0, 0] < 288 else -15)
        for y in (54, 64):
            sheet.paint(sheet.ellipse(side, y, 4, 3), (206, 206, 214), 0.9)
    return sheet.finish()


def glasses_temple() -> np.ndarray:
    """The arm from the hinge, at the left, back over the ear, 330 x 110."""
    sheet = Sheet(330, 110)
    top = [(-6, 12), (120, 16), (230, 22), (290, 34), (318, 74)]
    bottom = [(300, 84), (276, 52), (226, 42), (120, 40), (-6, 44)]
    arm = sheet.polygon(np.concatenate([smooth(np.array(side, float), closed=False)
                                        for side in (top, bottom)]))  # fmt: skip
    fade = np.clip((316 - sheet.x) / 50, 0, 1)  # into the hair behind the ear
    sheet.paint(sheet.soften(np.roll(arm, 15, axis=0), 4) * fade, (0, 0, 0), 0.3)
    sheet.paint(arm * fade, sheet.shade((sheet.y - 12) / 30, (60, 60, 66), (14, 14, 17)))
    shine = smooth(np.array([(4, 20), (120, 22), (228, 28)], float), closed=False)
    sheet.paint(sheet.soften(sheet.line(shine, 3), 1.5) * fade, (190, 195, 205), 0.4)
    return sheet.finish()


def moustache() -> np.ndarray:
    """A moustache with curled tips, 560 x 240; the nose's middle is over column 279.5."""
    sheet = Sheet(560, 240)
    half = [(279.5, 66), (240, 48), (190, 56), (132, 92), (84, 120), (44, 112), (34, 84), (52, 66),
            (72, 76), (66, 92), (52, 84), (30, 70), (14, 100), (32, 142), (86, 162), (150, 158),
            (210, 146), (256, 128), (279.5, 106)]  # fmt: skip
    body = sheet.curve(half, steps=10)
    body = np.maximum(body, body[:, ::-1])
    sheet.paint(sheet.soften(np.roll(body, 18, axis=0), 7), (30, 12, 0), 0.40)
    sheet.paint(sheet.soften(body, 1.2), (52, 32, 20))
    # Hairs run from the parting outwards, along a few guides from the upper to the lower edge.
    guides = np.array([
        [(278, 70), (232, 56), (182, 68), (124, 104), (76, 126), (36, 108), (40, 78), (60, 72)],
        [(278, 84), (232, 82), (180, 98), (124, 128), (74, 138), (28, 114), (32, 82), (54, 72)],
        [(278, 96), (232, 106), (178, 124), (122, 144), (70, 150), (22, 118), (24, 88), (48, 74)],
        [(278, 106), (234, 126), (176, 146), (120, 156), (66, 156), (20, 122), (20, 92), (44, 76)],
    ], float)  # fmt: skip
    golden = (np.sqrt(5) - 1) / 2
    tones = [(24, 13, 8), (92, 60, 36), (38, 22, 13), (126, 86, 52), (66, 42, 26)]
    hairs = np.zeros_like(sheet.alpha)
    for number in range(240):
        across = number * golden % 1 * 3
        low = min(int(across), 2)
        guide = guides[low] + (guides[low + 1] - guides[low]) * (across - low)
        strand = smooth(guide, closed=False, steps=8)
        first = int(number * 0.377 % 1 * 0.75 * len(strand))
        piece = strand[first : first + 9 + number % 13]
        piece = piece + np.linspace(0, 1, len(piece))[:, None] * [0, (number % 7 - 3) * 1.1]
        hairs = np.maximum(hairs, sheet.line(piece, 1.5))
        if number % 12 == 11:  # a dozen hairs of one tone, then the next tone over them
            sheet.paint(np.maximum(hairs, hairs[:, ::-1]), tones[number // 12 % 5], 0.55)
            hairs[:] = 0
    shine = sheet.soften(sheet.curve([(236, 66), (190, 74), (140, 104), (186, 96), (232, 84)]), 6)
    sheet.paint(np.maximum(shine, shine[:, ::-1]) * body, (190, 140, 96), 0.28)
    return sheet.finish()


def crown_outside() -> np.ndarray:
    """The unrolled outer side of a crown, 1440 x 210, 4 pixels per degree."""
    sheet = Sheet(1440, 210)
    gold, tips = _band(sheet, tips=10)
    # Light as on a cylinder under a lamp on the viewer's left, and a second shine on the right.
    angle = (sheet.x / 720 - 1) * np.pi
    light = np.clip(np.cos(angle + 0.5), 0, 1) ** 1.5 * 0.75 + 0.2
    light += 0.18 * np.exp(-(((angle - 0.9) / 0.16) ** 2))
    sheet.paint(gold, sheet.shade(light, (112, 66, 6), (255, 220, 96)))
    sheet.paint(gold * (1 - sheet.soften(gold, 2.5)).clip(0, 1), (255, 246, 190), 0.9)
    for tip in tips:
        _draw_pearl(sheet, tip, 24, 1.0)
    for low, high in ((112, 122), (182, 194)):
        band = gold * ((sheet.y >= low) & (sheet.y <= high))
        sheet.paint(band, sheet.shade(light + 0.12, (120, 70, 4), (255, 232, 130)))
        sheet.paint(gold * (np.abs(sheet.y - high) < 1.2), (96, 52, 0), 0.6)
    for number, x in enumerate(np.arange(20) * 72.0):
        _draw_jewel(sheet, x, 152, [(206, 20, 44), (24, 82, 200), (18, 150, 84)][number % 3])
    return sheet.finish()


def crown_inside() -> np.ndarray:
    """The unrolled inner side of the crown, 720 x 210, 2 pixels per degree."""
    sheet = Sheet(720, 210)
    gold, tips = _band(sheet, tips=10)
    light = 0.32 + 0.16 * np.cos((sheet.x / 360 - 1) * np.pi + 0.6)
    sheet.paint(gold, sheet.shade(light, (112, 66, 6), (255, 220, 96)))
    for tip in tips:
        _draw_pearl(sheet, tip, 24, 0.55)
    return sheet.finish()


def _band(sheet: Sheet, *, tips: int) -> tuple[np.ndarray, np.ndarray]:
    """The mask of a band with spikes on its upper edge, and the columns of the tips."""
    step = sheet.width / tips
    columns = (np.arange(tips) + 0.5) * step
    outline = [(-8, 196), (-8, 104)]
    for tip in columns:
        for across, down in ((-0.5, 104), (-0.26, 96), (-0.055, 30), (0.055, 30), (0.26, 96)):
            outline.append((tip + across * step, down))
    outline += [(sheet.width + 8, 104), (sheet.width + 8, 196)]
    return sheet.polygon(np.array(outline)), columns


def _draw_pearl(sheet: Sheet, x: float, y: float, tone: float) -> None:
    sheet = sheet.around(x, y, 20)
    wide = 15 * sheet.width / 1440
    sheet.paint(sheet.ellipse(x, y, wide, 15), np.array([226, 170, 40]) * tone)
    glow = 1 - np.hypot((sheet.x - x + wide / 3) / wide, (sheet.y - y + 5) / 15) * 0.75
    sheet.paint(sheet.ellipse(x, y, 0.9 * wide, 13.5),
                sheet.shade(glow, (170, 104, 14), (255, 240, 170)) * tone)  # fmt: skip


def _draw_jewel(sheet: Sheet, x: float, y: float, colour: tuple[int, int, int]) -> None:
    sheet = sheet.around(x, y, 34)
    sheet.paint(sheet.ellipse(x, y + 1, 21, 25), (96, 54, 0), 0.8)
    sheet.paint(sheet.ellipse(x, y, 20, 24), (250, 208, 84))
    glow = 0.9 - np.hypot((sheet.x - x + 4) / 20, (sheet.y - y - 8) / 24)
    light = np.minimum(np.array(colour) * 1.0 + 90, 255)
    dark = tuple(0.45 * c for c in colour)
    sheet.paint(sheet.ellipse(x, y, 15.5, 19.5), sheet.shade(glow, dark, tuple(light)))
    sheet.paint(sheet.soften(sheet.ellipse(x - 5, y - 9, 5, 4), 1), (255, 255, 255), 0.85)
