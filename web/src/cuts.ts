// Cuts of a video: frames with which another scene begins, as in keypoints/inference/cuts.py.

import { CUTS } from "./constants";
import { type Picture, areaResize } from "./geometry";

export class Cuts {
  private last: Float64Array | null = null;

  /** Whether another scene begins with the next frame: the whole picture changes, not its light alone. */
  isCut(picture: Picture): boolean {
    const { last } = this, gray = small(picture);
    this.last = gray;
    if (!last) return false;
    const mean = (values: Float64Array) => values.reduce((sum, value) => sum + value, 0) / values.length;
    const [before, now] = [mean(last), mean(gray)];
    let change = 0, product = 0, one = 0, other = 0;
    gray.forEach((value, i) => {
      change += Math.abs(value - last[i]) / gray.length;
      product += (value - now) * (last[i] - before);
      one += (value - now) ** 2;
      other += (last[i] - before) ** 2;
    });
    const energy = Math.sqrt(one * other), alike = energy > 1e-6 ? product / energy : 0;
    return change >= CUTS.change && alike <= CUTS.likeness;
  }
}

/** The mean gray of equal parts of a picture, row by row. */
export function small(picture: Picture): Float64Array {
  // Every n-th pixel is enough, and quick in large frames.
  const step = Math.max(Math.trunc(Math.min(picture.width, picture.height) / (4 * CUTS.side)), 1);
  const width = Math.ceil(picture.width / step), height = Math.ceil(picture.height / step);
  const data = new Uint8ClampedArray(width * height * 4);
  for (let row = 0, to = 0; row < height; row++) {
    for (let column = 0; column < width; column++, to += 4) {
      const from = (row * picture.width + column) * step * 4;
      for (let k = 0; k < 4; k++) data[to + k] = picture.data[from + k];
    }
  }
  const shrunk = areaResize({ width, height, data }, CUTS.side, CUTS.side).data;
  return Float64Array.from({ length: CUTS.side ** 2 }, (_, i) => (shrunk[4 * i] + shrunk[4 * i + 1] + shrunk[4 * i + 2]) / 3);
}
