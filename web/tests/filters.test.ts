import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { FILTERS, useModel } from "../src/constants";
import { Ball } from "../src/filters/ball";
import { type Art, Filter } from "../src/filters/engine";
import { bulge, coverage } from "../src/filters/effects";
import { Head, type Place, findHead } from "../src/filters/head";
import { type Plane, blend, drawMesh, drawPlane, fitPlane, move, pyramid } from "../src/filters/warp";
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
  // Squares are the same; the blur of a small face is not made of a smaller picture.
  const least = Math.max(cut.width, cut.height) < 30 ? 0.02 : 0.05;
  expect(wrong / covered).toBeLessThan(cut.name === "pixelate" ? 1e-3 : least);
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

test("what a polygon covers, worked by hand, up to all borders of the picture", () => {
  // From the pixel (2, 1) to (5, 3): halves of the pixels on its edges, quarters of those at its corners.
  const mask = coverage([[2, 1], [5, 1], [5, 3], [2, 3]], 7, 5);
  const half = [0, 0, 0.25, 0.5, 0.5, 0.25, 0], whole = half.map((share) => 2 * share);
  expect(Array.from(mask)).toEqual([0, 0, 0, 0, 0, 0, 0, ...half, ...whole, ...half, 0, 0, 0, 0, 0, 0, 0]);
  // Of one around the picture every pixel, and of two halves each their own.
  expect(Array.from(coverage([[-3, -3], [9, -3], [9, 8], [-3, 8]], 7, 5))).toEqual(new Array(35).fill(1));
  const first = Array.from(coverage([[-3, -3], [2, -3], [2, 8], [-3, 8]], 7, 5)), second = Array.from(coverage([[2, -3], [9, -3], [9, 8], [2, 8]], 7, 5));
  for (let row = 0; row < 5; row++) {
    expect(first.slice(7 * row, 7 * row + 7)).toEqual([1, 1, 0.5, 0, 0, 0, 0]);
    expect(second.slice(7 * row, 7 * row + 7)).toEqual([0, 0, 0.5, 1, 1, 1, 1]);
  }
  // Of a U its two arms and what joins them, and nothing between: four edges in a row.
  const arms = [0, 0.5, 1, 0.5, 0, 0.5, 1, 1, 0.5, 0], joined = [0, 0.5, 1, 1, 1, 1, 1, 1, 0.5, 0];
  const u = Array.from(coverage([[1, -2], [3, -2], [3, 2], [5, 2], [5, -2], [8, -2], [8, 4], [1, 4]], 10, 6));
  const mean = arms.map((share, i) => (share + joined[i]) / 2), end = joined.map((share) => share / 2);
  expect(u).toEqual([...arms, ...arms, ...mean, ...joined, ...end, ...new Array(10).fill(0)]);
  // Up to 3 pixels around the line from (8, 9) to (12, 9): all up to 3.22, nothing from 4.22 on.
  const around = coverage([[8, 9], [12, 9]], 30, 20, 3);
  for (let y = 0; y < 20; y++) {
    for (let x = 0; x < 30; x++) {
      const away = Math.hypot(x - Math.min(Math.max(x, 8), 12), y - 9);
      expect(around[30 * y + x]).toBeCloseTo(Math.min(Math.max(4.22 - away, 0), 1), 5);
    }
  }
});

test("a bulge, pixel by pixel, on a picture whose colours tell the place, at its borders too", () => {
  const width = 25, height = 20, radius = 6.5, strength = 0.5;
  const upright = [[11.49, 9.49], [12.51, 10.51]], turned = [[12.3, 9.6], [-1.6, 8.2], [26.1, 11], [11, -1.7], [9, 20.8], [2, 1.5], [22.4, 18]];
  for (const [x, y] of [...upright, ...turned]) {
    // Turned clockwise, and seen 0.8 times as wide.
    const [angle, wide] = upright.some((place) => place[0] === x) ? [0, 1] : [0.5, 0.8], [cos, sin] = [Math.cos(angle), Math.sin(angle)];
    const made = picture(width, height, Array.from({ length: width * height }, (_, i) => [10 * (i % width), 12 * Math.trunc(i / width), 7]).flat());
    const head = new Head([99, 99, x - 1, y, x + 1, y], [wide * cos, -sin, 0, wide * sin, cos, 0, 0, 0, 1], 2 * radius);
    bulge(made, head, { kind: "bulge", points: [1, 2], radius: 0.5, strength });
    let moved = 0;
    for (let row = 0; row < height; row++) {
      for (let column = 0; column < width; column++) {
        const [dx, dy] = [column - x, row - y], across = (cos * dx + sin * dy) / wide, down = cos * dy - sin * dx;
        const inside = Math.max(1 - (across ** 2 + down ** 2) / radius ** 2, 0), share = 1 - strength * inside ** 2;
        const [fromX, fromY] = [Math.min(Math.max(x + dx * share, 0), width - 1), Math.min(Math.max(y + dy * share, 0), height - 1)];
        const at = 4 * (row * width + column);
        expect(Math.abs(made.data[at] - 10 * fromX)).toBeLessThan(0.51);
        expect(Math.abs(made.data[at + 1] - 12 * fromY)).toBeLessThan(0.51);
        expect([made.data[at + 2], made.data[at + 3]]).toEqual([7, 255]);
        moved += Number(Math.abs(made.data[at] - 10 * column) > 2);
      }
    }
    expect(moved).toBeGreaterThan(5);
  }
});

test("a bulge of a pixel is drawn, and none that is smaller", () => {
  const shown = (radius: number) => {
    const made = picture(9, 9, Array.from({ length: 81 }, (_, i) => [30 * (i % 9), 30 * Math.trunc(i / 9), 7]).flat());
    bulge(made, new Head([4.4, 3.6], [1, 0, 0, 0, 1, 0, 0, 0, 1], radius), { kind: "bulge", points: [0], radius: 1, strength: 0.5 });
    return Array.from(made.data.slice(4 * (4 * 9 + 4), 4 * (4 * 9 + 4) + 2));
  };
  // The pixel (4, 4) is (-0.4, 0.4) away: 0.32 / 1.44 leaves 0.7778, and moves it by 0.4 * 0.5 * 0.605 = 0.121.
  expect(shown(1.2)).toEqual([124, 116]);
  expect(shown(0.95)).toEqual([120, 120]);
});

test("planes through places that one of them took there are found again", () => {
  const source: Place[] = [[0, 0], [40, 3], [37, 28], [-4, 31], [20, 11]];
  const planes = { similarity: [1.5, -0.7, 30, 0.7, 1.5, -12, 0, 0, 1], affine: [1.5, 0.2, 30, -0.4, 0.9, -12, 0, 0, 1], perspective: [1.5, 0.2, 30, -0.4, 0.9, -12, 0.004, -0.007, 1] };
  for (const [fit, plane] of Object.entries(planes)) {
    const found = fitPlane(fit as keyof typeof planes, source, source.map((place) => move(plane, place)))!;
    expect(largestDifference(found, plane)).toBeLessThan(1e-6);
    expect(fitPlane(fit as keyof typeof planes, source, source.map(() => [5, 5]))).toBeNull(); // all in one place
  }
});

test("art behind the camera is not drawn", () => {
  const art = pyramid(picture(10, 6, new Uint8Array(10 * 6 * 4).fill(255)));
  const drawn = (...last: number[]) => drawPlane(art, [1, 0, 2, 0, 1, 2, ...last], 99, 99) !== null;
  // At its corners x is -1 or 10, and y -1 or 6.
  expect(drawn(0, 0, 1)).toBe(true);
  expect(drawn(-0.09, 0, 1)).toBe(true); // 1 - 0.9
  expect(drawn(-0.11, 0, 1)).toBe(false);
  expect(drawn(0, -0.16, 1)).toBe(true); // 1 - 0.96
  expect(drawn(0, -0.17, 1)).toBe(false);
  expect(drawn(0.9, 0, 1)).toBe(true);
  expect(drawn(1.1, 0, 1)).toBe(false);
  expect(drawn(0, 0.9, 1)).toBe(true);
  expect(drawn(0, 1.1, 1)).toBe(false);
  expect(drawn(-0.05, -0.05, 1)).toBe(true); // 1 - 0.8
  expect(drawn(-0.07, -0.07, 1)).toBe(false);
  expect(drawn(0, 0, -1)).toBe(false);
});

describe("art whose colours tell the place", () => {
  const art = picture(15, 12, Array.from({ length: 15 * 12 }, (_, i) => [16 * (i % 15), 20 * Math.trunc(i / 15), 9, 255]).flat()), levels = pyramid(art);
  /** The largest difference of red, green and alpha to those of the art at `place`, where that is `edge` inside. */
  const wrong = (patch: NonNullable<ReturnType<typeof drawPlane>>, place: (x: number, y: number) => Place, edge = 0.1) => {
    let worst = 0, seen = 0;
    for (let i = 0; i < patch.width * patch.height; i++) {
      const [u, v] = place(patch.left + (i % patch.width), patch.top + Math.trunc(i / patch.width));
      if (u < edge || v < edge || u > 14 - edge || v > 11 - edge) continue;
      worst = Math.max(worst, Math.abs(patch.data[4 * i] - 16 * u), Math.abs(patch.data[4 * i + 1] - 20 * v), 255 - patch.data[4 * i + 3]);
      seen++;
    }
    expect(seen).toBeGreaterThan(50);
    return worst;
  };

  test("on a plane in perspective", () => {
    const plane: Plane = [1.2, 0.3, 4.5, -0.4, 1.1, 9.2, 0.01, -0.02, 1];
    const [a, b, c, d, e, f, g, h] = plane;
    // u and v of x (g u + h v + 1) = a u + b v + c, and the same for y.
    const place = (x: number, y: number): Place => {
      const [p, q, r, s] = [a - x * g, b - x * h, d - y * g, e - y * h], det = p * s - q * r;
      return [((x - c) * s - q * (y - f)) / det, (p * (y - f) - (x - c) * r) / det];
    };
    for (const [width, height] of [[60, 50], [16, 14]]) {
      const patch = drawPlane(levels, plane, width, height)!;
      expect(wrong(patch, place)).toBeLessThan(1.01);
      expect([patch.left + patch.width <= width, patch.top + patch.height <= height]).toEqual([true, true]);
    }
    const far: Plane = [1, 0, -4, 0, 1, -3, 0, 0, 1]; // cut at the left and at the top
    expect(wrong(drawPlane(levels, far, 60, 50)!, (x, y) => [x + 4, y + 3])).toBe(0);
  });

  test("on triangles, without a seam", () => {
    const source: Place[] = [[0, 0], [14, 0], [14, 11], [0, 11]], at = ([x, y]: Place): Place => [5 + 1.5 * x + 0.2 * y, 3 + 1.25 * y];
    const place = (x: number, y: number): Place => {
      const v = (y - 3) / 1.25;
      return [(x - 5 - 0.2 * v) / 1.5, v];
    };
    const patch = drawMesh(levels, [[0, 1, 2], [0, 2, 3]], source, source.map(at), 60, 50)!;
    expect(wrong(patch, place, 0.7)).toBeLessThan(2);
    expect(patch.data.filter((value, i) => i % 4 === 3 && value === 255).length).toBeGreaterThan(200);
    // Triangles that show their back are not drawn, nor what is outside.
    expect(drawMesh(levels, [[0, 1, 2], [0, 2, 3]], source, source.map(([x, y]): Place => [20 - x, y]), 60, 50)).toBeNull();
    expect(drawMesh(levels, [[0, 1, 2]], source, source.map(([x, y]): Place => [x + 70, y]), 60, 50)).toBeNull();
    const one = drawMesh(levels, [[0, 1, 2]], source, source, 60, 50)!, alpha = (x: number, y: number) => one.data[4 * ((y - one.top) * one.width + x - one.left) + 3];
    expect([alpha(12, 4), alpha(2, 8)]).toEqual([255, 0]); // inside, and in the other one
    expect([alpha(7, 0), alpha(14, 5)]).toEqual([128, 128]); // on its edges
    const other = drawMesh(levels, [[0, 2, 3]], source, source.map(([x, y]): Place => [x + 2, y + 4]), 60, 50)!;
    const share = (x: number, y: number) => other.data[4 * ((y - other.top) * other.width + x - other.left) + 3];
    expect([share(4, 12), share(14, 6), share(2, 9), share(8, 15)]).toEqual([255, 0, 128, 128]);
  });

  test("is blended by its alpha, the opacity, and what hides it", () => {
    const before = () => picture(3, 2, new Uint8Array(3 * 2 * 3).fill(100));
    const patch = { left: 1, top: 1, width: 2, height: 1, data: Uint8ClampedArray.from([40, 60, 80, 102, 200, 200, 200, 255]) };
    const row = (opacity: number, hidden: number[] | null) => {
      const made = before();
      blend(made, patch, opacity, hidden && Float32Array.from(hidden));
      expect(Array.from(made.data.slice(0, 16))).toEqual(new Array(4).fill([100, 100, 100, 255]).flat());
      return Array.from(made.data.slice(16));
    };
    // Alpha 0.4: 100 * 0.6 + 40; by half: 100 * 0.8 + 20; a fourth hidden: 100 * 0.7 + 30.
    expect(row(1, null)).toEqual([100, 120, 140, 255, 200, 200, 200, 255]);
    expect(row(0.5, null)).toEqual([100, 110, 120, 255, 150, 150, 150, 255]);
    expect(row(1, [0.25, 1])).toEqual([100, 115, 130, 255, 100, 100, 100, 255]);
  });
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
