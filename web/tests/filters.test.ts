import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { FILTERS, useModel } from "../src/constants";
import { Ball } from "../src/filters/ball";
import { type Art, Filter } from "../src/filters/engine";
import { findHead } from "../src/filters/head";
import { coverage } from "../src/filters/effects";
import { drawPlane, pyramid } from "../src/filters/warp";
import type { Box, Picture } from "../src/geometry";
import { FOLDER, VECTORS, largestDifference, picture } from "./vectors";

interface Drawn {
  name: string;
  before: string;
  after: string;
  sizes: Record<string, [number, number]>;
  width: number;
  height: number;
  points: number[];
}

interface Cut {
  name: string;
  before: string;
  after: string;
  width: number;
  height: number;
  points: number[];
  boxes: Box[];
}

test.each((VECTORS.filters as Drawn[]).map((drawn) => [drawn.after, drawn] as const))("%s is what Python draws", (_, drawn) => {
  const { name } = drawn;
  const read = (file: string) => readFileSync(join(FOLDER, file)), art: Art = new Map();
  for (const [path, [width, height]] of Object.entries(drawn.sizes)) {
    art.set(path, pyramid(picture(width, height, read(`${name}-${path.split("/").pop()}.raw`))));
  }
  const filter = new Filter(FILTERS.find((spec) => spec.name === name)!, art);
  const before = picture(drawn.width, drawn.height, read(drawn.before)), expected = picture(drawn.width, drawn.height, read(drawn.after));
  let shown = before;
  for (let number = 0; number < 3; number++) {
    shown = { ...before, data: before.data.slice() };
    const points = drawn.points.map((value, i) => value + (i % 2 ? 0 : 2 * number));
    filter.apply(shown, [{ id: 0, points }], number / 30);
  }
  let changed = 0, apart = 0, far = 0;
  for (let i = 0; i < expected.data.length; i++) {
    const away = Math.abs(shown.data[i] - expected.data[i]);
    changed += Math.abs(before.data[i] - expected.data[i]);
    apart += away;
    far += Number(away > 40);
  }
  expect(changed).toBeGreaterThan(0);
  expect(apart / changed).toBeLessThan(0.03);
  expect(far / expected.data.length).toBeLessThan(0.0004);
});

test.each(["blur", "pixelate"])("%s hides a face of five points, and goes on where it is lost", (name) => {
  const { width, height, points, five } = VECTORS.own;
  const read = (file: string) => picture(width, height, readFileSync(join(FOLDER, file)));
  const before = read("own.raw"), expected = read(`own-${name}.raw`), first = read("own.raw"), second = read("own.raw");
  useModel(five.model);
  try {
    const filter = new Filter(FILTERS.find((spec) => spec.name === name)!, new Map());
    filter.apply(first, [{ id: 4, points }], 0);
    filter.apply(second, [], 0.1);
  } finally {
    useModel(VECTORS.model);
  }
  let changed = 0, apart = 0;
  for (let i = 0; i < expected.data.length; i++) {
    changed += Math.abs(before.data[i] - expected.data[i]);
    apart += Math.abs(first.data[i] - expected.data[i]) + Math.abs(second.data[i] - expected.data[i]);
  }
  expect(changed).toBeGreaterThan(0);
  expect(apart / changed).toBeLessThan(0.06); // of both frames
});

test.each((VECTORS.cut as Cut[]).map((cut) => [cut.after, cut] as const))("%s covers all that Python covers", (_, cut) => {
  const read = (file: string) => picture(cut.width, cut.height, readFileSync(join(FOLDER, file)));
  const before = read(cut.before), expected = read(cut.after), shown = read(cut.before);
  new Filter(FILTERS.find(({ name }) => name === cut.name)!, new Map()).apply(shown, cut.points.length ? [{ id: 0, points: cut.points }] : [], 0, false, cut.boxes);
  // In noise hardly a covered pixel keeps its value.
  let covered = 0, open = 0, wrong = 0;
  for (let i = 0; i < expected.data.length; i++) {
    const change = Math.abs(expected.data[i] - before.data[i]);
    covered += change;
    if (change < 30) continue;
    if (Math.abs(shown.data[i] - before.data[i]) < change / 2) open++;
    wrong += Math.abs(shown.data[i] - expected.data[i]);
  }
  expect(covered / expected.data.length).toBeGreaterThan(5);
  // The blur's soft edge, outside the face, may differ by one pixel of the small picture.
  expect(open / expected.data.length).toBeLessThan(cut.name === "pixelate" ? 1e-9 : 1e-3);
  expect(wrong / covered).toBeLessThan(0.05);
});

test("a face that a privacy filter hid stays hidden for a moment, but not over a cut", () => {
  const filter = new Filter(FILTERS.find(({ name }) => name === "pixelate")!, new Map());
  const noise = (seed: number) => picture(240, 220, Uint8Array.from({ length: 240 * 220 * 3 }, (_, i) => ((i + seed) * 2654435761) >>> 24));
  const same = (a: Picture, b: Picture) => largestDifference(a.data, b.data) === 0;
  const { points } = VECTORS.tilted, faces = [{ id: 7, points }];
  const shown = (list: typeof faces, time: number, seed = 0) => {
    const before = noise(seed), after = noise(seed);
    filter.apply(after, list, time);
    return same(before, after);
  };
  expect(shown(faces, 3)).toBe(false);
  expect(shown([], 3.4)).toBe(false);
  expect(shown([], 3.6)).toBe(true); // held for half a second
  expect(shown(faces, 4)).toBe(false);
  const [light, dark] = [picture(240, 220, new Uint8Array(240 * 220 * 3).fill(250)), noise(0)];
  filter.apply(light, [], 4.1); // another scene
  filter.apply(dark, [], 4.2);
  expect(same(dark, noise(0))).toBe(true);
});

test("a head has the outlines of Python, and the same surfaces face away", () => {
  const head = findHead(VECTORS.tilted.points)!, { face, skull, away } = VECTORS.heads;
  expect(largestDifference(head.faceOutline().flat(), face.flat())).toBeLessThan(0.01);
  expect(largestDifference(head.skullOutline().flat(), skull.flat())).toBeLessThan(0.01);
  for (const { normal, away: expected } of away) expect(head.facesAway(normal)).toBe(expected);
  expect(new Set(away.map((surface: { away: boolean }) => surface.away)).size).toBe(2);
});

test("a loose pupil rolls as in Python", () => {
  const { start, to_dish, places } = VECTORS.heads.ball, ball = new Ball(start);
  let rim = 0;
  for (const { time, centre, place } of places) {
    expect(largestDifference(ball.step(time, centre, to_dish), place)).toBeLessThan(1e-6);
    rim += Number(Math.hypot(place[0], place[1]) > 0.999);
  }
  expect(rim).toBeGreaterThan(1); // it met its rim
});

test("a face outside of the picture changes nothing", () => {
  const points = VECTORS.tilted.points as number[];
  for (const name of ["blur", "pixelate", "big_eyes"]) {
    for (const [x, y] of [[-900, 0], [900, 0], [0, -900], [0, 900]]) {
      const shown = picture(240, 220, Uint8Array.from({ length: 240 * 220 * 3 }, (_, i) => (i * 2654435761) >>> 24)), before = shown.data.slice();
      new Filter(FILTERS.find((spec) => spec.name === name)!, new Map())
        .apply(shown, [{ id: 0, points: points.map((value, i) => value + (i % 2 ? y : x)) }], 0);
      expect(largestDifference(shown.data, before)).toBe(0);
    }
  }
});

test("what hides a face at the right border does not go on at the left one", () => {
  const width = 40, height = 30, mask = coverage([[30, 8], [39, 8], [39, 20], [30, 20]], width, height, 6);
  const column = (x: number) => Array.from({ length: height }, (_, y) => mask[y * width + x]);
  expect(column(39).slice(3, 26)).toEqual(new Array(23).fill(1)); // 6 pixels above and below too
  expect(column(0).concat(column(1))).toEqual(new Array(2 * height).fill(0));
});

test("art that is opaque to its border has a soft edge of a pixel, worked by hand", () => {
  const art = picture(3, 2, new Uint8Array(3 * 2 * 4).fill(200).map((value, i) => (i % 4 === 3 ? 255 : value)));
  const patch = drawPlane(pyramid(art), [1, 0, 2.5, 0, 1, 3.5, 0, 0, 1], 9, 9)!;
  const alpha = (x: number, y: number) => patch.data[4 * ((y - patch.top) * patch.width + x - patch.left) + 3];
  // The art lies from (2, 3) to (5, 5): pixel 2 is half inside, and a corner a quarter.
  expect([2, 3, 4, 5, 6].map((x) => alpha(x, 4))).toEqual([128, 255, 255, 128, 0]);
  expect([2, 3, 4, 5, 6].map((x) => alpha(x, 3))).toEqual([64, 128, 128, 64, 0]);
  expect([2, 3, 4, 5, 6].map((x) => alpha(x, 5))).toEqual([64, 128, 128, 64, 0]);
});

test("a nearer face hides the sticker of a farther one", () => {
  const drawn = (VECTORS.filters as Drawn[]).find(({ after }) => after === "filter-sunglasses-face.raw")!, art: Art = new Map();
  for (const [path, [width, height]] of Object.entries(drawn.sizes)) {
    art.set(path, pyramid(picture(width, height, readFileSync(join(FOLDER, `sunglasses-${path.split("/").pop()}.raw`)))));
  }
  const near = drawn.points, far = near.map((value, i) => value * 0.8 + (i % 2 ? 40 : -20)), { width, height } = drawn;
  const shown = (faces: number[][]) => {
    const made = picture(width, height, readFileSync(join(FOLDER, "face.raw")));
    new Filter(FILTERS.find(({ name }) => name === "sunglasses")!, art).apply(made, faces.map((points, id) => ({ id, points })), 0, false);
    return made.data;
  };
  const [both, one, other] = [shown([near, far]), shown([near]), shown([far])];
  const inside = coverage(findHead(near)!.faceOutline(), width, height), before = picture(width, height, readFileSync(join(FOLDER, "face.raw"))).data;
  let wrong = 0, hidden = 0;
  inside.forEach((share, i) => {
    if (share < 1) return;
    wrong += Number(both[4 * i] !== one[4 * i]);
    hidden += Number(other[4 * i] !== before[4 * i]);
  });
  expect(hidden).toBeGreaterThan(200); // there the farther face's glasses would be
  expect(wrong).toBe(0);
});
