// What the Python code answers, as tests/web/vectors.py writes it into the folder VECTORS.

import { readFileSync } from "node:fs";
import { join } from "node:path";
import { useModel } from "../src/constants";
import type { Picture } from "../src/geometry";

export const FOLDER = process.env.VECTORS ?? "/nowhere: set VECTORS";
export const VECTORS = JSON.parse(readFileSync(join(FOLDER, "vectors.json"), "utf8"));
useModel(VECTORS.model);

/** Pixels of 3 (or 4) bytes as a picture. */
export function picture(width: number, height: number, bytes: ArrayLike<number>): Picture {
  const channels = bytes.length / width / height, data = new Uint8ClampedArray(width * height * 4).fill(255);
  for (let i = 0; i < width * height; i++) {
    for (let k = 0; k < channels; k++) data[4 * i + k] = bytes[channels * i + k];
  }
  return { width, height, data };
}

export function largestDifference(a: ArrayLike<number>, b: ArrayLike<number>): number {
  if (a.length !== b.length || !a.length) return Infinity;
  let largest = 0;
  for (let i = 0; i < a.length; i++) {
    const away = Math.abs(a[i] - b[i]);
    largest = Number.isNaN(away) ? Infinity : Math.max(largest, away);
  }
  return largest;
}
