// Art warped to anchors, as in keypoints/filters/warp.py. A `Plane` is a 3x3 matrix, row by row.
//
// Art has premultiplied colours, so that interpolation makes no dark edges.

import { type Picture, areaResize } from "../geometry";
import { solve } from "../rotation";
import type { Place } from "./head";
import type { StickerLayer } from "./spec";

export type Plane = number[];

/** Part of a picture. */
export interface Frame {
  left: number;
  top: number;
  width: number;
  height: number;
}

/** The part of warped art that lies in the picture; premultiplied. */
export interface Patch extends Frame {
  data: Uint8ClampedArray;
}

/** The least-squares matrix from `source` to `target`; null where they determine none. */
export function fitPlane(fit: StickerLayer["fit"], source: Place[], target: Place[]): Plane | null {
  let plane: Plane | null;
  if (fit === "perspective") plane = fitPerspective(source, target);
  else if (fit === "affine") plane = fitAffine(source, target);
  else plane = fitSimilarity(source, target);
  const sound = plane?.every(Number.isFinite) && Math.abs(plane[0] * plane[4] - plane[1] * plane[3]) > 1e-8;
  return sound ? plane : null;
}

function fitSimilarity(source: Place[], target: Place[]): Plane {
  const centre = mean(source), onto = mean(target);
  let real = 0, imaginary = 0, squares = 0;
  source.forEach(([x, y], i) => {
    const [a, b] = [x - centre[0], y - centre[1]], [c, d] = [target[i][0] - onto[0], target[i][1] - onto[1]];
    real += a * c + b * d;
    imaginary += a * d - b * c;
    squares += a * a + b * b;
  });
  const [cos, sin] = [real / squares, imaginary / squares];
  const shift = [onto[0] - cos * centre[0] + sin * centre[1], onto[1] - sin * centre[0] - cos * centre[1]];
  return [cos, -sin, shift[0], sin, cos, shift[1], 0, 0, 1];
}

function fitAffine(source: Place[], target: Place[]): Plane | null {
  const rows = source.map(([x, y]) => [x, y, 1]);
  const x = leastSquares(rows, target.map((place) => place[0]));
  const y = leastSquares(rows, target.map((place) => place[1]));
  return x && y && [...x, ...y, 0, 0, 1];
}

function fitPerspective(source: Place[], target: Place[]): Plane | null {
  // Both sides near 1, for numbers of one size.
  const from = normalising(source), to = normalising(target);
  const rows: number[][] = [], right: number[] = [];
  source.forEach((place, i) => {
    const [x, y] = move(from, place), [u, v] = move(to, target[i]);
    rows.push([x, y, 1, 0, 0, 0, -u * x, -u * y], [0, 0, 0, x, y, 1, -v * x, -v * y]);
    right.push(u, v);
  });
  const found = leastSquares(rows, right), back = invertPlane(to);
  if (!found || !back) return null;
  const plane = multiplyPlanes(multiplyPlanes(back, [...found, 1]), from);
  return plane.map((value) => value / plane[8]);
}

function normalising(places: Place[]): Plane {
  const [x, y] = mean(places);
  const spread = places.reduce((sum, place) => sum + Math.hypot(place[0] - x, place[1] - y), 0) / places.length;
  const scale = 1 / Math.max(spread, 1e-9);
  return [scale, 0, -x * scale, 0, scale, -y * scale, 0, 0, 1];
}

function leastSquares(rows: number[][], right: number[]): number[] | null {
  const columns = rows[0].map((_, i) => i);
  const squares = columns.map((i) => columns.map((j) => rows.reduce((sum, row) => sum + row[i] * row[j], 0)));
  return solve(squares, columns.map((i) => rows.reduce((sum, row, k) => sum + row[i] * right[k], 0)));
}

export function move(m: Plane, [x, y]: Place): Place {
  const w = m[6] * x + m[7] * y + m[8];
  return [(m[0] * x + m[1] * y + m[2]) / w, (m[3] * x + m[4] * y + m[5]) / w];
}

export function multiplyPlanes(a: Plane, b: Plane): Plane {
  return a.map((_, k) => {
    const [i, j] = [Math.trunc(k / 3), k % 3];
    return a[3 * i] * b[j] + a[3 * i + 1] * b[3 + j] + a[3 * i + 2] * b[6 + j];
  });
}

export function invertPlane(m: Plane): Plane | null {
  const columns = [0, 1, 2].map((k) =>
    solve([m.slice(0, 3), m.slice(3, 6), m.slice(6, 9)], [Number(k === 0), Number(k === 1), Number(k === 2)]),
  );
  const [a, b, c] = columns;
  return a && b && c && [a[0], b[0], c[0], a[1], b[1], c[1], a[2], b[2], c[2]];
}

export function mean(places: Place[]): Place {
  return [0, 1].map((axis) => places.reduce((sum, place) => sum + place[axis], 0) / places.length) as Place;
}

/** Art as premultiplied levels, each half as large as the one before: small faces sample a small one. */
export function pyramid(art: Picture): Picture[] {
  const data = Uint8ClampedArray.from(art.data);
  for (let i = 0; i < data.length; i += 4) {
    for (let k = 0; k < 3; k++) data[i + k] = (data[i + k] * data[i + 3]) / 255;
  }
  const levels: Picture[] = [{ width: art.width, height: art.height, data }];
  for (let last = levels[0]; Math.min(last.width, last.height) >= 16; last = levels[levels.length - 1]) {
    levels.push(areaResize(last, Math.max(Math.trunc(last.width / 2), 1), Math.max(Math.trunc(last.height / 2), 1)));
  }
  return levels;
}

/** The art warped by `plane` into a picture; null if nothing of it is inside. */
export function drawPlane(levels: Picture[], plane: Plane, width: number, height: number): Patch | null {
  const [{ width: wide, height: tall }] = levels;
  const corners: Place[] = [[-1, -1], [wide, -1], [wide, tall], [-1, tall]];
  if (corners.some(([x, y]) => plane[6] * x + plane[7] * y + plane[8] <= 1e-6)) return null; // behind the camera
  const frame = frameOf(corners.map((corner) => move(plane, corner)), width, height);
  if (!frame) return null;
  const { art, back } = levelFor(levels, Math.sqrt(Math.abs(plane[0] * plane[4] - plane[1] * plane[3])));
  const inverse = invertPlane(multiplyPlanes(plane, back));
  if (!inverse) return null;
  const data = new Uint8ClampedArray(frame.width * frame.height * 4);
  for (let row = 0, to = 0; row < frame.height; row++) {
    const y = frame.top + row;
    let u = inverse[0] * frame.left + inverse[1] * y + inverse[2];
    let v = inverse[3] * frame.left + inverse[4] * y + inverse[5];
    let w = inverse[6] * frame.left + inverse[7] * y + inverse[8];
    for (let column = 0; column < frame.width; column++, to += 4) {
      sample(art, u / w, v / w, data, to, 1);
      u += inverse[0];
      v += inverse[3];
      w += inverse[6];
    }
  }
  return { ...frame, data };
}

/** The art with each triangle of `source` warped to `target`; triangles that face away are not drawn. */
export function drawMesh(
  levels: Picture[],
  triangles: [number, number, number][],
  source: Place[],
  target: Place[],
  width: number,
  height: number,
): Patch | null {
  const facing = triangles.filter((corners) => {
    const before = area(corners.map((i) => source[i])), after = area(corners.map((i) => target[i]));
    return after * before > 1e-3 * Math.abs(before);
  });
  const frame = frameOf(target, width, height);
  if (!frame || !facing.length) return null;
  const total = (places: Place[]) => facing.reduce((sum, corners) => sum + Math.abs(area(corners.map((i) => places[i]))), 0);
  const { art, back } = levelFor(levels, Math.sqrt(total(target) / total(source)));
  const toLevel = invertPlane(back)!;
  const cover = new Float32Array(frame.width * frame.height), best = new Float32Array(cover.length);
  const owner = new Int16Array(cover.length).fill(-1);
  const planes: Plane[] = [];
  facing.forEach((corners, index) => {
    const seats = corners.map((i): Place => [target[i][0] - frame.left, target[i][1] - frame.top]);
    planes.push(fitAffine(seats, corners.map((i) => move(toLevel, source[i]))) ?? [0, 0, -9, 0, 0, -9, 0, 0, 1]);
    const inside = triangleCoverage(seats);
    const low = [0, 1].map((axis) => Math.max(Math.floor(Math.min(...seats.map((seat) => seat[axis]))) - 1, 0));
    const right = Math.min(Math.ceil(Math.max(...seats.map((seat) => seat[0]))) + 1, frame.width - 1);
    const bottom = Math.min(Math.ceil(Math.max(...seats.map((seat) => seat[1]))) + 1, frame.height - 1);
    for (let y = low[1]; y <= bottom; y++) {
      for (let x = low[0]; x <= right; x++) {
        const share = inside(x, y), at = y * frame.width + x;
        if (share <= 0) continue;
        cover[at] += share; // shared edges: the parts of both triangles add up
        if (share > best[at]) {
          best[at] = share;
          owner[at] = index;
        }
      }
    }
  });
  const data = new Uint8ClampedArray(cover.length * 4);
  for (let y = 0, at = 0; y < frame.height; y++) {
    for (let x = 0; x < frame.width; x++, at++) {
      if (owner[at] < 0) continue;
      const m = planes[owner[at]];
      sample(art, m[0] * x + m[1] * y + m[2], m[3] * x + m[4] * y + m[5], data, at * 4, Math.min(cover[at], 1));
    }
  }
  return { ...frame, data };
}

/** Share of each pixel that a triangle covers, from the distance to its nearest edge. */
function triangleCoverage([a, b, c]: Place[]): (x: number, y: number) => number {
  const sign = Math.sign(area([a, b, c]));
  const edges = [[a, b], [b, c], [c, a]].map(([from, to]) => {
    const length = Math.hypot(to[0] - from[0], to[1] - from[1]) || 1;
    const nx = (-sign * (to[1] - from[1])) / length, ny = (sign * (to[0] - from[0])) / length;
    return [nx, ny, -(nx * from[0] + ny * from[1])];
  });
  const [[a0, b0, c0], [a1, b1, c1], [a2, b2, c2]] = edges;
  return (x, y) =>
    Math.min(Math.min(a0 * x + b0 * y + c0, a1 * x + b1 * y + c1, a2 * x + b2 * y + c2) + 0.5, 1);
}

/** Write the art at (x, y), bilinear and clear outside, times `share`. */
function sample(art: Picture, x: number, y: number, into: Uint8ClampedArray, to: number, share: number): void {
  const { width, height, data } = art, left = Math.floor(x), top = Math.floor(y);
  if (!(left >= -1 && top >= -1 && left < width && top < height)) return;
  const fx = x - left, fy = y - top;
  let red = 0, green = 0, blue = 0, alpha = 0;
  for (let corner = 0; corner < 4; corner++) {
    const column = left + (corner & 1), row = top + (corner >> 1);
    if (column < 0 || row < 0 || column >= width || row >= height) continue;
    const weight = share * (corner & 1 ? fx : 1 - fx) * (corner >> 1 ? fy : 1 - fy), from = (row * width + column) * 4;
    red += weight * data[from];
    green += weight * data[from + 1];
    blue += weight * data[from + 2];
    alpha += weight * data[from + 3];
  }
  into[to] = red;
  into[to + 1] = green;
  into[to + 2] = blue;
  into[to + 3] = alpha;
}

/** Blend a patch over `picture` in place. `hidden`: share of each pixel that is not drawn. */
export function blend(picture: Picture, patch: Patch, opacity: number, hidden: Float32Array | null): void {
  for (let row = 0, from = 0; row < patch.height; row++) {
    let to = ((patch.top + row) * picture.width + patch.left) * 4;
    for (let column = 0; column < patch.width; column++, from += 4, to += 4) {
      if (!patch.data[from + 3]) continue;
      const weight = hidden ? opacity * (1 - hidden[from / 4]) : opacity;
      const behind = 1 - (weight * patch.data[from + 3]) / 255;
      for (let k = 0; k < 3; k++) picture.data[to + k] = picture.data[to + k] * behind + weight * patch.data[from + k];
    }
  }
}

function frameOf(places: Place[], width: number, height: number): Frame | null {
  const [xs, ys] = [places.map((place) => place[0]), places.map((place) => place[1])];
  const left = Math.max(Math.floor(Math.min(...xs)) - 1, 0), top = Math.max(Math.floor(Math.min(...ys)) - 1, 0);
  const right = Math.min(Math.ceil(Math.max(...xs)) + 2, width), bottom = Math.min(Math.ceil(Math.max(...ys)) + 2, height);
  return right > left && bottom > top ? { left, top, width: right - left, height: bottom - top } : null;
}

/** The level for `scale` picture pixels per art pixel, and its matrix to the full art. */
function levelFor(levels: Picture[], scale: number): { art: Picture; back: Plane } {
  const number = Math.min(Math.max(Math.floor(-Math.log2(Math.max(scale, 1e-6)) + 0.5), 0), levels.length - 1);
  const art = levels[number], x = levels[0].width / art.width, y = levels[0].height / art.height;
  return { art, back: [x, 0, (x - 1) / 2, 0, y, (y - 1) / 2, 0, 0, 1] };
}

/** Twice the signed area. */
function area([a, b, c]: Place[]): number {
  return (b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0]);
}
