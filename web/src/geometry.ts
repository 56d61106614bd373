// Boxes, points and the 2x3 matrices between pictures and crops, as in keypoints/geometry.py.
//
// The centre of the top-left pixel is (0, 0). Points are flat: x0, y0, x1, y1, ..

import { CROP, MODEL } from "./constants";

/** Pixels with 4 bytes each: red, green, blue, alpha. */
export interface Picture {
  width: number;
  height: number;
  data: Uint8ClampedArray;
}

/** Left, top, width, height. */
export type Box = [number, number, number, number];
export type Points = Float32Array;
/** u = a x + b y + c, v = d x + e y + f. */
export type Matrix = [number, number, number, number, number, number];

export function landmarkBox(points: ArrayLike<number>): Box {
  let left = Infinity, top = Infinity, right = -Infinity, bottom = -Infinity;
  for (let i = 0; i < points.length; i += 2) {
    left = Math.min(left, points[i]);
    right = Math.max(right, points[i]);
    top = Math.min(top, points[i + 1]);
    bottom = Math.max(bottom, points[i + 1]);
  }
  return [left, top, right - left, bottom - top];
}

/** The box that the detector would give for a face of these points. */
export function faceBox(points: ArrayLike<number>): Box {
  const [left, top, width, height] = landmarkBox(points), [x, y, ...size] = MODEL.face_box;
  const sides = [Math.max(width, 1e-6) * size[0], Math.max(height, 1e-6) * size[1]];
  return [left + width * x - sides[0] / 2, top + height * y - sides[1] / 2, sides[0], sides[1]];
}

/** Intersection over union. */
export function overlap(a: Box, b: Box): number {
  const width = Math.min(a[0] + a[2], b[0] + b[2]) - Math.max(a[0], b[0]);
  const height = Math.min(a[1] + a[3], b[1] + b[3]) - Math.max(a[1], b[1]);
  const shared = Math.max(width, 0) * Math.max(height, 0);
  return shared / (a[2] * a[3] + b[2] * b[3] - shared);
}

export function centreOf(box: Box): [number, number] {
  return [box[0] + box[2] / 2, box[1] + box[3] / 2];
}

/** Cosine and sine of an angle in degrees. */
export function rotation(degrees: number): [number, number] {
  const angle = (degrees * Math.PI) / 180;
  return [Math.cos(angle), Math.sin(angle)];
}

/** The nearest integer, the even one of two, as Python has it. */
export function roundEven(value: number): number {
  const rounded = Math.round(value);
  return rounded - value === 0.5 && rounded % 2 ? rounded - 1 : rounded;
}

/** From a picture to the crop around a tight landmark box, turned back by `roll` degrees. */
export function cropMatrix(box: Box, roll = 0, scale: number = MODEL.crop_scale): Matrix {
  const [x, y] = centreOf(box);
  const zoom = CROP.size / (Math.max(box[2], box[3], 1) * scale);
  const [cos, sin] = rotation(-roll).map((part) => part * zoom);
  const middle = (CROP.size - 1) / 2;
  return [cos, -sin, middle - (cos * x - sin * y), sin, cos, middle - (sin * x + cos * y)];
}

export function determinant(m: Matrix): number {
  return m[0] * m[4] - m[1] * m[3];
}

/** Crop pixels to a picture's pixel. */
export function scaleOf(m: Matrix): number {
  return Math.sqrt(Math.abs(determinant(m)));
}

export function invert(m: Matrix): Matrix {
  const d = determinant(m);
  const [a, b, c, e] = [m[4] / d, -m[1] / d, -m[3] / d, m[0] / d];
  return [a, b, -(a * m[2] + b * m[5]), c, e, -(c * m[2] + e * m[5])];
}

/** The matrix that applies `first` and then `second`. */
export function compose(second: Matrix, first: Matrix): Matrix {
  const [a, b, c, d, e, f] = second;
  const [g, h, i, j, k, l] = first;
  return [a * g + b * j, a * h + b * k, a * i + b * l + c, d * g + e * j, d * h + e * k, d * i + e * l + f];
}

export function apply(m: Matrix, points: ArrayLike<number>): Points {
  const moved = new Float32Array(points.length);
  for (let i = 0; i < points.length; i += 2) {
    moved[i] = m[0] * points[i] + m[1] * points[i + 1] + m[2];
    moved[i + 1] = m[3] * points[i] + m[4] * points[i + 1] + m[5];
  }
  return moved;
}

/** The crop at `matrix` as red, green, blue from 0 to 255, bilinear, black outside the picture. */
export function crop(picture: Picture, matrix: Matrix, into?: Float32Array): Float32Array {
  const size = CROP.size;
  const pixels = into ?? new Float32Array(size * size * 3);
  const reduction = Math.max(Math.trunc(1 / scaleOf(matrix)), 1);
  if (reduction >= 2) {
    // Bilinear sampling alone would skip pixels: average what the crop shows over whole blocks.
    const corners = apply(invert(matrix), [-0.5, -0.5, size - 0.5, -0.5, -0.5, size - 0.5, size - 0.5, size - 0.5]);
    const seen = landmarkBox(corners);
    const low = (start: number) => Math.max((Math.floor(start / reduction) - 2) * reduction, 0);
    const high = (end: number, side: number) => Math.min((Math.ceil(end / reduction) + 2) * reduction, side);
    const [left, top] = [low(seen[0]), low(seen[1])];
    const [right, bottom] = [high(seen[0] + seen[2], picture.width), high(seen[1] + seen[3], picture.height)];
    if (right <= left || bottom <= top) return pixels.fill(0);
    const columns = Math.max(Math.floor((right - left) / reduction), 1);
    const rows = Math.max(Math.floor((bottom - top) / reduction), 1);
    const [width, height] = [Math.min(columns * reduction, right - left), Math.min(rows * reduction, bottom - top)];
    const part = cut(picture, left, top, width, height);
    picture = areaResize(part, columns, rows);
    const offset = (reduction - 1) / 2;
    matrix = compose(matrix, [reduction, 0, offset + left, 0, reduction, offset + top]);
  }
  const back = invert(matrix);
  // As OpenCV computes it for Python: places in 32nds of a pixel, from 1024ths of both of their parts.
  const across = (k: number) => Int32Array.from({ length: size }, (_, u) => roundEven(back[k] * u * 1024));
  const down = (k: number) => Int32Array.from({ length: size }, (_, v) => roundEven((back[k + 1] * v + back[k + 2]) * 1024) + 16);
  const xs = [across(0), down(0)], ys = [across(3), down(3)];
  const { width, height, data } = picture;
  let to = 0;
  for (let v = 0; v < size; v++) {
    for (let u = 0; u < size; u++, to += 3) {
      const x = (xs[0][u] + xs[1][v]) >> 5, y = (ys[0][u] + ys[1][v]) >> 5;
      const left = x >> 5, top = y >> 5;
      pixels[to] = pixels[to + 1] = pixels[to + 2] = 0;
      if (left < -1 || top < -1 || left >= width || top >= height) continue;
      const fx = x & 31, fy = y & 31;
      for (let corner = 0; corner < 4; corner++) {
        const column = left + (corner & 1), row = top + (corner >> 1);
        if (column < 0 || row < 0 || column >= width || row >= height) continue;
        const weight = (corner & 1 ? fx : 32 - fx) * (corner >> 1 ? fy : 32 - fy);
        const from = (row * width + column) * 4;
        pixels[to] += weight * data[from];
        pixels[to + 1] += weight * data[from + 1];
        pixels[to + 2] += weight * data[from + 2];
      }
      pixels[to] = (pixels[to] + 512) >> 10;
      pixels[to + 1] = (pixels[to + 1] + 512) >> 10;
      pixels[to + 2] = (pixels[to + 2] + 512) >> 10;
    }
  }
  return pixels;
}

/** A copy of a part of `picture`, which must lie inside. */
export function cut(picture: Picture, left: number, top: number, width: number, height: number): Picture {
  if (width === picture.width && height === picture.height) return picture;
  const data = new Uint8ClampedArray(width * height * 4);
  for (let row = 0; row < height; row++) {
    const from = ((top + row) * picture.width + left) * 4;
    data.set(picture.data.subarray(from, from + width * 4), row * width * 4);
  }
  return { width, height, data };
}

/** `picture` made smaller: each new pixel is the mean of the area that it covers. */
export function areaResize(picture: Picture, width: number, height: number): Picture {
  if (width === picture.width && height === picture.height) return picture;
  const across = shares(picture.width, width), down = shares(picture.height, height);
  const data = new Uint8ClampedArray(width * height * 4);
  const line = new Float32Array(picture.width * 4);
  for (let row = 0; row < height; row++) {
    line.fill(0);
    for (let i = down.starts[row]; i < down.starts[row + 1]; i++) {
      const weight = down.weights[i], from = down.cells[i] * picture.width * 4;
      for (let k = 0; k < line.length; k++) line[k] += weight * picture.data[from + k];
    }
    for (let column = 0; column < width; column++) {
      let red = 0, green = 0, blue = 0, alpha = 0;
      for (let i = across.starts[column]; i < across.starts[column + 1]; i++) {
        const weight = across.weights[i], from = across.cells[i] * 4;
        red += weight * line[from];
        green += weight * line[from + 1];
        blue += weight * line[from + 2];
        alpha += weight * line[from + 3];
      }
      const to = (row * width + column) * 4;
      data[to] = red;
      data[to + 1] = green;
      data[to + 2] = blue;
      data[to + 3] = alpha;
    }
  }
  return { width, height, data };
}

/** Which cells of a long line each cell of a short one covers, and their shares of it. */
function shares(long: number, short: number): { starts: number[]; cells: number[]; weights: number[] } {
  const starts = [0], cells: number[] = [], weights: number[] = [], factor = long / short;
  for (let i = 0; i < short; i++) {
    const low = i * factor, high = Math.min((i + 1) * factor, long);
    for (let cell = Math.floor(low); cell < high - 1e-9; cell++) {
      const share = Math.min(cell + 1, high) - Math.max(cell, low);
      if (share <= 1e-9) continue;
      cells.push(cell);
      weights.push(share / (high - low));
    }
    starts.push(cells.length);
  }
  return { starts, cells, weights };
}
