// Effects that change the picture in place, as in keypoints/filters/effects.py.

import { HIDING } from "../constants";
import { type Picture, areaResize, cut } from "../geometry";
import type { Area, Head, Place } from "./head";
import type { BlurLayer, BulgeLayer, PixelateLayer } from "./spec";
import type { Frame } from "./warp";

const SOFT_EDGE = 0.72; // pixels by which OpenCV's thick smooth lines reach farther than half their width

/** Magnify around some landmarks, in a disc that turns with the head. */
export function bulge(picture: Picture, head: Head, layer: BulgeLayer): void {
  const centre = head.mean(layer.points), scale = head.size * layer.radius;
  const [a, b, c, d] = [head.turn[0], head.turn[1], head.turn[3], head.turn[4]].map((value) => value * scale);
  const det = a * d - b * c;
  if (Math.abs(det) < 1) return;
  const frame = region(picture, [centre], Math.max(Math.hypot(a, b), Math.hypot(c, d)));
  if (!frame) return;
  const before = cutFrame(picture, frame);
  for (let row = 0; row < frame.height; row++) {
    for (let column = 0; column < frame.width; column++) {
      const x = frame.left + column - centre[0], y = frame.top + row - centre[1];
      const inside = 1 - ((d * x - b * y) / det) ** 2 - ((a * y - c * x) / det) ** 2;
      if (inside <= 0) continue;
      // Sources move towards the centre, less near the edge: there is no visible seam.
      const share = 1 - layer.strength * inside * inside;
      const fromX = centre[0] + x * share - frame.left, fromY = centre[1] + y * share - frame.top;
      replicate(before, fromX, fromY, picture.data, ((frame.top + row) * picture.width + frame.left + column) * 4);
    }
  }
}

/** Blur the face until no feature is visible; the transition to the picture is outside it. */
export function blur(picture: Picture, { outline, size }: Area, layer: BlurLayer): void {
  const margin = layer.margin * size, sigma = Math.max(layer.sigma * size, HIDING.smallest_sigma);
  const frame = region(picture, outline, margin + 3 * sigma);
  if (!frame) return;
  // Smaller first: no sharpening restores what that lost, and a blur of few pixels is quick.
  const factor = Math.max(sigma / 2, 1);
  const width = Math.max(Math.round(frame.width / factor), 1), height = Math.max(Math.round(frame.height / factor), 1);
  const coarse = areaResize(cutFrame(picture, frame), width, height);
  gaussian(coarse.data, width, height, 4, sigma / factor);
  const own = outline.map(([x, y]): Place => [x - frame.left, y - frame.top]);
  const core = coverage(own, frame.width, frame.height, margin);
  const shrunk = own.map(([x, y]): Place => [
    ((x + 0.5) * width) / frame.width - 0.5,
    ((y + 0.5) * height) / frame.height - 0.5,
  ]);
  const around = coverage(shrunk, width, height, (margin + sigma / 2) / factor);
  gaussian(around, width, height, 1, Math.max(sigma / 4 / factor, 0.5));
  const smooth = enlarge(coarse, frame.width, frame.height);
  for (let row = 0; row < frame.height; row++) {
    const y = ((row + 0.5) * height) / frame.height - 0.5;
    for (let column = 0; column < frame.width; column++) {
      const x = ((column + 0.5) * width) / frame.width - 0.5, at = row * frame.width + column;
      const weight = Math.max(core[at], bilinear(around, width, height, x, y));
      if (weight <= 0) continue;
      const to = ((frame.top + row) * picture.width + frame.left + column) * 4;
      for (let k = 0; k < 3; k++) picture.data[to + k] += weight * (smooth[4 * at + k] - picture.data[to + k]);
    }
  }
}

/** Replace the face by squares of one colour; squares on its edge are replaced completely. */
export function pixelate(picture: Picture, { outline, size }: Area, layer: PixelateLayer): void {
  const least = Math.max(Math.round(size / layer.blocks), HIDING.smallest_block);
  const block = Math.min(least, Math.max(picture.width, picture.height));
  const margin = layer.margin * size, frame = region(picture, outline, margin + block);
  if (!frame) return;
  // The grid is fixed to the picture, so that the squares do not move with the face.
  const left = Math.floor(frame.left / block) * block, top = Math.floor(frame.top / block) * block;
  // Squares that the border cuts go on outside with its pixels, and are touched outside too.
  const right = Math.ceil((frame.left + frame.width) / block) * block;
  const bottom = Math.ceil((frame.top + frame.height) / block) * block;
  const own = outline.map(([x, y]): Place => [x - left, y - top]);
  const mask = coverage(own, right - left, bottom - top, margin);
  for (let y = top; y < bottom; y += block) {
    for (let x = left; x < right; x += block) {
      const sum = [0, 0, 0];
      let touched = false;
      for (let row = y; row < y + block; row++) {
        const line = Math.min(row, picture.height - 1) * picture.width;
        for (let column = x; column < x + block; column++) {
          touched ||= mask[(row - top) * (right - left) + column - left] > 0;
          const at = (line + Math.min(column, picture.width - 1)) * 4;
          for (let k = 0; k < 3; k++) sum[k] += picture.data[at + k];
        }
      }
      if (!touched) continue;
      const colour = sum.map((value) => value / (block * block));
      for (let row = y; row < Math.min(y + block, picture.height); row++) {
        for (let column = x; column < Math.min(x + block, picture.width); column++) {
          picture.data.set(colour, (row * picture.width + column) * 4);
        }
      }
    }
  }
}

/** Share of each pixel, 0 to 1, within `margin` pixels of a polygon's inside. */
export function coverage(polygon: Place[], width: number, height: number, margin = 0): Float32Array {
  const mask = new Float32Array(width * height);
  const lines = 4; // of each row of pixels
  for (let row = 0; row < height; row++) {
    for (let line = 0; line < lines; line++) {
      const y = row - 0.5 + (line + 0.5) / lines, crossings: number[] = [];
      polygon.forEach(([x1, y1], i) => {
        const [x2, y2] = polygon[(i + 1) % polygon.length];
        if (y1 <= y !== y2 <= y) crossings.push(x1 + ((y - y1) / (y2 - y1)) * (x2 - x1) + 0.5);
      });
      crossings.sort((a, b) => a - b);
      for (let i = 0; i + 1 < crossings.length; i += 2) {
        const from = Math.max(crossings[i], 0), to = Math.min(crossings[i + 1], width);
        for (let column = Math.floor(from); column < to; column++) {
          const share = Math.min(column + 1, to) - Math.max(column, from);
          mask[row * width + column] += share / lines;
        }
      }
    }
  }
  if (margin >= 0.5) {
    const reach = Math.ceil(Math.round(2 * margin) / 2) + SOFT_EDGE;
    polygon.forEach((start, i) => stroke(mask, width, height, start, polygon[(i + 1) % polygon.length], reach));
  }
  for (let i = 0; i < mask.length; i++) mask[i] = Math.min(mask[i], 1);
  return mask;
}

/** Add all pixels within `reach` of a line. */
function stroke(mask: Float32Array, width: number, height: number, a: Place, b: Place, reach: number): void {
  const dx = b[0] - a[0], dy = b[1] - a[1], squares = dx * dx + dy * dy || 1;
  const low = (first: number, second: number) => Math.max(Math.floor(Math.min(first, second) - reach - 1), 0);
  const high = (first: number, second: number, end: number) => Math.min(Math.ceil(Math.max(first, second) + reach + 1), end - 1);
  for (let y = low(a[1], b[1]); y <= high(a[1], b[1], height); y++) {
    for (let x = low(a[0], b[0]); x <= high(a[0], b[0], width); x++) {
      const at = y * width + x;
      if (mask[at] >= 1) continue;
      const along = Math.min(Math.max(((x - a[0]) * dx + (y - a[1]) * dy) / squares, 0), 1);
      const distance = Math.hypot(x - a[0] - along * dx, y - a[1] - along * dy);
      mask[at] = Math.max(mask[at], Math.min(reach - distance + 0.5, 1));
    }
  }
}

/** Gaussian blur in place, of OpenCV's reach. Outside, colours go on, and a mask (1 channel) is mirrored. */
function gaussian(data: Float32Array | Uint8ClampedArray, width: number, height: number, channels: number, sigma: number): void {
  const reach = Math.round(6 * sigma + 1) >> 1, weights: number[] = [];
  for (let i = -reach; i <= reach; i++) weights.push(Math.exp(-(i * i) / (2 * sigma * sigma)));
  const sum = weights.reduce((total, weight) => total + weight, 0);
  const pass = (from: ArrayLike<number>, to: Float32Array | Uint8ClampedArray, length: number, step: number) => {
    for (let i = 0; i < width * height; i++) {
      const place = Math.trunc(i / step) % length;
      for (let k = 0; k < channels; k++) {
        let value = 0;
        for (let j = -reach; j <= reach; j++) {
          const there = place + j, mirrored = channels > 1 ? there : length - 1 - Math.abs(length - 1 - Math.abs(there));
          const other = Math.min(Math.max(mirrored, 0), length - 1) - place;
          value += weights[j + reach] * from[(i + other * step) * channels + k];
        }
        to[i * channels + k] = value / sum;
      }
    }
  };
  const across = new Float32Array(data.length);
  pass(data, across, width, 1);
  pass(across, data, height, width);
}

/** `picture` made larger by cubics as of OpenCV; the edge goes on outside. */
function enlarge({ width, height, data }: Picture, newWidth: number, newHeight: number): Uint8ClampedArray {
  const across = cubics(width, newWidth), down = cubics(height, newHeight);
  const lines = new Float32Array(height * newWidth * 4), large = new Uint8ClampedArray(newHeight * newWidth * 4);
  for (let row = 0, to = 0; row < height; row++) {
    for (const { cells, weights } of across) {
      for (let k = 0; k < 4; k++, to++) {
        for (let i = 0; i < 4; i++) lines[to] += weights[i] * data[(row * width + cells[i]) * 4 + k];
      }
    }
  }
  const line = newWidth * 4;
  down.forEach(({ cells: [a, b, c, d], weights: [p, q, r, s] }, row) => {
    for (let i = 0; i < line; i++) {
      large[row * line + i] = p * lines[a * line + i] + q * lines[b * line + i] + r * lines[c * line + i] + s * lines[d * line + i];
    }
  });
  return large;
}

/** The four cells of a short line that each cell of a long one is made of, and their weights. */
function cubics(short: number, long: number): { cells: number[]; weights: number[] }[] {
  const a = -0.75;
  return Array.from({ length: long }, (_, i) => {
    const x = ((i + 0.5) * short) / long - 0.5, left = Math.floor(x), f = x - left;
    const cells = [-1, 0, 1, 2].map((step) => Math.min(Math.max(left + step, 0), short - 1));
    const near = (t: number) => ((a + 2) * t - (a + 3)) * t * t + 1;
    const far = (t: number) => ((a * t - 5 * a) * t + 8 * a) * t - 4 * a;
    return { cells, weights: [far(f + 1), near(f), near(1 - f), far(2 - f)] };
  });
}

function bilinear(values: Float32Array, width: number, height: number, x: number, y: number): number {
  const left = Math.floor(x), top = Math.floor(y), fx = x - left, fy = y - top;
  const at = (column: number, row: number) =>
    values[Math.min(Math.max(row, 0), height - 1) * width + Math.min(Math.max(column, 0), width - 1)];
  return (
    (1 - fy) * ((1 - fx) * at(left, top) + fx * at(left + 1, top)) +
    fy * ((1 - fx) * at(left, top + 1) + fx * at(left + 1, top + 1))
  );
}

/** Write the colour at (x, y), bilinear; the edge goes on outside. */
function replicate({ width, height, data }: Picture, x: number, y: number, into: Uint8ClampedArray, to: number): void {
  const left = Math.floor(x), top = Math.floor(y), fx = x - left, fy = y - top;
  const columns = [left, left + 1].map((column) => Math.min(Math.max(column, 0), width - 1));
  const rows = [top, top + 1].map((row) => Math.min(Math.max(row, 0), height - 1) * width);
  for (let k = 0; k < 3; k++) {
    const [a, b] = [data[(rows[0] + columns[0]) * 4 + k], data[(rows[0] + columns[1]) * 4 + k]];
    const [c, d] = [data[(rows[1] + columns[0]) * 4 + k], data[(rows[1] + columns[1]) * 4 + k]];
    into[to + k] = (1 - fy) * ((1 - fx) * a + fx * b) + fy * ((1 - fx) * c + fx * d);
  }
}

function cutFrame(picture: Picture, { left, top, width, height }: Frame): Picture {
  const part = cut(picture, left, top, width, height);
  return part === picture ? { width, height, data: picture.data.slice() } : part;
}

/** The part of the picture within `reach` pixels of some places. */
function region(picture: Picture, places: Place[], reach: number): Frame | null {
  const [xs, ys] = [places.map((place) => place[0]), places.map((place) => place[1])];
  const left = Math.max(Math.floor(Math.min(...xs) - reach), 0), top = Math.max(Math.floor(Math.min(...ys) - reach), 0);
  const right = Math.min(Math.ceil(Math.max(...xs) + reach) + 1, picture.width);
  const bottom = Math.min(Math.ceil(Math.max(...ys) + reach) + 1, picture.height);
  return right > left && bottom > top ? { left, top, width: right - left, height: bottom - top } : null;
}
