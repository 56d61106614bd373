import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { COLUMNS, FILTERS } from "../src/constants";
import { decode, distinct, landmarkBoxes } from "../src/detector";
import { relativeUncertainty } from "../src/estimate";
import { type Art, Filter } from "../src/filters/engine";
import { pyramid } from "../src/filters/warp";
import { type Box, areaResize, crop, cropMatrix } from "../src/geometry";
import { toCsv, toJson } from "../src/points_file";
import { angles, fitRotation } from "../src/pose";
import { OneEuro, OneEuroRotation } from "../src/smoothing";
import { Tracker } from "../src/tracking";
import { uprightBox } from "../src/upright";
import { FOLDER, VECTORS, largestDifference, picture } from "./vectors";

const image = picture(VECTORS.image.width, VECTORS.image.height, VECTORS.image.data);

describe("geometry", () => {
  test.each([0, 1, 2, 3])("crop %i has the pixels of OpenCV", (i) => {
    const { box, roll, matrix, pixels } = VECTORS.crops[i];
    const own = cropMatrix(box, roll);
    expect(largestDifference(own, matrix)).toBeLessThan(1e-9);
    const found = crop(image, own), part: number[] = [];
    for (let y = 0; y < 224; y += 9) {
      for (let x = 0; x < 224; x += 7) part.push(...found.subarray((y * 224 + x) * 3, (y * 224 + x) * 3 + 3));
    }
    // OpenCV rounds places to 1/32 of a pixel: in noise that is a few levels.
    const mean = part.reduce((sum, value, k) => sum + Math.abs(value - pixels[k]), 0) / part.length;
    expect(mean).toBeLessThan(2);
    expect(Math.max(...part)).toBeGreaterThan(100);
  });

  test("a smaller picture has the means of areas", () => {
    const small = areaResize(image, 20, 13);
    expect(largestDifference(small.data, picture(20, 13, VECTORS.resized).data)).toBeLessThanOrEqual(1);
  });

  test("the box, pose and uncertainty of a tilted face", () => {
    const { points, box, roll, rotation, size, uncertainty, relative_uncertainty } = VECTORS.tilted;
    const own = uprightBox(points), fit = fitRotation(points)!;
    expect(own.roll).toBeCloseTo(roll, 3);
    expect(roll).toBeGreaterThan(20);
    expect(largestDifference(own.box, box)).toBeLessThan(1e-3);
    expect(largestDifference(fit.rotation, rotation)).toBeLessThan(1e-5);
    expect(fit.size).toBeCloseTo(size, 4);
    expect(largestDifference(Object.values(angles(fit.rotation)), VECTORS.tilted.angles)).toBeLessThan(1e-3);
    const estimate = { points: Float32Array.from(points as number[]), uncertainty: Float32Array.from(uncertainty as number[]) };
    expect(relativeUncertainty(estimate)).toBeCloseTo(relative_uncertainty, 5);
  });

  test("points on a line are no face", () => {
    expect(fitRotation(Array.from({ length: 136 }, (_, i) => i))).toBeNull();
    expect(fitRotation(new Array(136).fill(NaN))).toBeNull();
  });
});

describe("detector", () => {
  test("a cell of the maps becomes a box, worked by hand", () => {
    const rows = 3, columns = 4, cell = 1 * columns + 2, maps = {
      rows, columns,
      heat: new Float32Array(12), sizes: new Float32Array(24), offsets: new Float32Array(24), points: new Float32Array(120),
    };
    maps.heat[cell] = 0.9;
    maps.heat[cell + 1] = 0.8; // the same face: not the best of its 3 x 3
    maps.sizes[cell] = Math.log(10); // height 40
    maps.sizes[12 + cell] = Math.log(5); // width 20
    maps.offsets[12 + cell] = 0.25;
    const faces = decode(maps, 0.4);
    // x: (2 + 0.25 + 0.5) * 4 - 0.5 = 10.5; y: (1 + 0.5) * 4 - 0.5 = 5.5.
    expect(faces).toHaveLength(1);
    expect(largestDifference(faces[0].box, [0.5, -14.5, 20, 40])).toBeLessThan(1e-4);
  });

  test("of two boxes of one face the surer one stays", () => {
    const box: Box = [0, 0, 10, 20];
    expect(distinct([{ box, score: 0.5 }, { box: [1, 0, 10, 20], score: 0.9 }, { box: [30, 0, 9, 9], score: 0.4 }])).toEqual([1, 2]);
  });

  test("landmark boxes are sorted by size", () => {
    const five = [0, 0, 2, 0, 1, 1, 0, 3, 2, 3];
    const found = landmarkBoxes([{ box: [0, 0, 10, 12], score: 1, five }, { box: [0, 0, 20, 25], score: 1, five }]);
    expect(found[0].box[2]).toBeGreaterThan(found[1].box[2]);
  });
});

describe("tracking", () => {
  test("the One-Euro filters give the points and rotations of Python", () => {
    const points = new OneEuro(), turn = new OneEuroRotation();
    VECTORS.frames.forEach(({ time, faces }: { time: number; faces: number[][] }, i: number) => {
      expect(largestDifference(points.smooth(faces[0], time), VECTORS.smooth[i].points)).toBeLessThan(0.01);
      const rotation = turn.smooth(fitRotation(faces[0])!.rotation, time)!;
      expect(largestDifference(rotation, VECTORS.smooth[i].rotation)).toBeLessThan(1e-4);
    });
  });

  test("the tracker gives the ids, points and scores of Python", async () => {
    let faces: Float32Array[] = [];
    const tracker = new Tracker(
      {
        estimate: async (_, boxes) => boxes.map((box) => {
          const away = faces.map((face) => {
            const mean = [0, 0];
            face.forEach((value, i) => (mean[i % 2] += value / 68));
            return Math.hypot(mean[0] - box[0] - box[2] / 2, mean[1] - box[1] - box[3] / 2);
          });
          const best = away.indexOf(Math.min(...away)), near = best >= 0 && away[best] < 40;
          return { points: near ? faces[best] : new Float32Array(136), uncertainty: new Float32Array(68).fill(near ? 1 : 99) };
        }),
      },
      { detect: async () => faces.map((points) => ({ box: box(points), score: 1, roll: 0 })) },
    );
    const empty = picture(640, 480, new Uint8Array(640 * 480 * 3));
    let most = 0;
    for (const frame of VECTORS.frames) {
      faces = frame.faces.map((points: number[]) => Float32Array.from(points));
      const found = await tracker.update(empty, frame.time);
      expect(found.map(({ id }) => id)).toEqual(frame.found.map(({ id }: { id: number }) => id));
      found.forEach((face, i) => {
        expect(largestDifference(face.points, frame.found[i].points)).toBeLessThan(0.02);
        expect(face.score).toBeCloseTo(frame.found[i].score, 4);
        expect(largestDifference(face.rotation!, frame.found[i].rotation)).toBeLessThan(1e-3);
      });
      most = Math.max(most, found.length);
    }
    expect(most).toBe(2);
  });
});

function box(points: Float32Array): Box {
  const [xs, ys] = [0, 1].map((axis) => points.filter((_, i) => i % 2 === axis));
  const [left, top] = [Math.min(...xs), Math.min(...ys)];
  return [left, top, Math.max(...xs) - left, Math.max(...ys) - top];
}

interface Drawn {
  name: string;
  art: string[];
  sizes?: Record<string, [number, number]>;
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
}

test.each((VECTORS.filters as Drawn[]).map((drawn) => [drawn.name, drawn] as const))("filter %s draws what Python draws", (name, drawn) => {
  const read = (file: string) => readFileSync(join(FOLDER, file)), art: Art = new Map();
  for (const path of drawn.art) {
    const [width, height] = drawn.sizes![path];
    art.set(path, pyramid(picture(width, height, read(`${name}-${path.split("/").pop()}.raw`))));
  }
  const filter = new Filter(FILTERS.find((spec) => spec.name === name)!, art);
  const before = picture(drawn.width, drawn.height, read("face.raw")), expected = picture(drawn.width, drawn.height, read(`filter-${name}.raw`));
  let shown = before;
  for (let number = 0; number < 3; number++) {
    shown = { ...before, data: before.data.slice() };
    const points = drawn.points.map((value, i) => value + (i % 2 ? 0 : 2 * number));
    expect(filter.apply(shown, [{ id: 0, points }], number / 30)).toBe(1);
  }
  let changed = 0, apart = 0, far = 0;
  for (let i = 0; i < expected.data.length; i++) {
    const away = Math.abs(shown.data[i] - expected.data[i]);
    changed += Math.abs(before.data[i] - expected.data[i]);
    apart += away;
    far += Number(away > 40);
  }
  expect(changed).toBeGreaterThan(0);
  expect(apart / changed).toBeLessThan(0.06);
  expect(far / expected.data.length).toBeLessThan(0.004);
});

test.each((VECTORS.cut as Cut[]).map((cut) => [cut.after, cut] as const))("%s covers all that Python covers", (_, cut) => {
  const read = (file: string) => picture(cut.width, cut.height, readFileSync(join(FOLDER, file)));
  const before = read(cut.before), expected = read(cut.after), shown = read(cut.before);
  new Filter(FILTERS.find(({ name }) => name === cut.name)!, new Map()).apply(shown, [{ id: 0, points: cut.points }], 0, false);
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

test("the table has the columns of Python's, and JSON the same numbers", () => {
  const { points, uncertainty } = VECTORS.tilted, fit = fitRotation(points)!;
  const face = {
    id: 7, box: [1, 2, 3, 4] as Box, points: Float32Array.from(points as number[]),
    uncertainty: Float32Array.from(uncertainty as number[]), score: 0.75, rotation: fit.rotation,
  };
  const frames = [{ frame: 3, timestamp: 0.5, faces: [face] }];
  const [header, row, end] = toCsv(frames).split("\r\n").map((line) => line.split(","));
  expect(header).toEqual(COLUMNS);
  expect(row).toHaveLength(COLUMNS.length);
  expect(row.slice(0, 8)).toEqual(["3", "0.5000", "7", "1.00", "2.00", "3.00", "4.00", "0.7500"]);
  expect(row[COLUMNS.indexOf("yaw")]).toBe(VECTORS.tilted.angles[0].toFixed(1));
  expect(end).toEqual([""]);
  expect(JSON.parse(toJson(frames))[0].faces[0].points[67][1]).toBeCloseTo(points[135], 2);
  const flat = { ...face, points: new Float32Array(136), rotation: null };
  flat.points[2 * 61 + 1] = 5; // the lips of a mouth without width are apart: 5 / 0, and of the eyes 0 / 0
  const last = toCsv([{ frame: 0, timestamp: 0, faces: [flat] }]).split("\r\n")[1].split(",");
  expect(last.slice(-5)).toEqual(["nan", "nan", "nan", "nan", "inf"]);
  expect(JSON.parse(toJson([{ frame: 0, timestamp: 0, faces: [flat] }]))[0].faces[0].mouth_opening).toBeNull();
});
