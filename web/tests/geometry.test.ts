import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { CROP, MODEL, useModel } from "../src/constants";
import { relativeUncertainty, scoreFace } from "../src/estimate";
import { eyeOpening, mouthOpening } from "../src/expression";
import { type Box, type Matrix, apply, areaResize, compose, crop, cropMatrix, determinant, faceBox, invert, landmarkBox, overlap, scaleOf } from "../src/geometry";
import { toCsv, toJson } from "../src/points_file";
import { angles, fitRotation } from "../src/pose";
import { CropPredictor } from "../src/predictor";
import { rotationVector, solve, turns } from "../src/rotation";
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
    expect(largestDifference(part, pixels)).toBe(0); // of noise
    expect(Math.max(...part)).toBeGreaterThan(100);
  });

  test.each([0, 1, 2, 3])("crop %i of a large picture, which is made smaller first", (i) => {
    const { box, roll, matrix, pixels } = VECTORS.reduced[i], own = cropMatrix(box, roll);
    expect(largestDifference(own, matrix)).toBeLessThan(1e-9);
    const found = crop(picture(900, 700, readFileSync(join(FOLDER, "smooth.raw"))), own), part: number[] = [];
    for (let y = 0; y < 224; y += 9) {
      for (let x = 0; x < 224; x += 7) part.push(...found.subarray((y * 224 + x) * 3, (y * 224 + x) * 3 + 3));
    }
    expect(largestDifference(part, pixels)).toBeLessThan(4);
    expect(part.reduce((sum, value, k) => sum + Math.abs(value - pixels[k]), 0) / part.length).toBeLessThan(0.5);
  });

  test("a crop at half the size shows the mean of fine stripes", () => {
    const stripes = picture(500, 400, Array.from({ length: 500 * 400 }, (_, i) => [i % 2 ? 200 : 0, Math.trunc(i / 500) % 2 ? 0 : 100, 50]).flat());
    // 224 / (330 * 1.4) = 0.485: two pixels become one. From (-46, -51) to (416, 411) is shown.
    const pixels = crop(stripes, cropMatrix([20, 15, 330, 330], 0, 1.4)), at = (x: number, y: number) => Array.from(pixels.subarray(3 * (224 * y + x), 3 * (224 * y + x) + 3));
    for (let y = 30; y < 210; y += 3) for (let x = 30; x < 210; x += 3) expect(at(x, y)).toEqual([100, 50, 50]);
    expect(at(20, 100)).toEqual([0, 0, 0]);
    expect(at(100, 220)).toEqual([0, 0, 0]);
  });

  test("a large crop beside the picture is black", () => {
    for (const [left, top] of [[-5000, 10], [5000, 10], [10, -5000], [10, 5000]]) {
      const pixels = crop(image, cropMatrix([left, top, 600, 600]));
      expect(pixels).toHaveLength(224 * 224 * 3);
      expect(pixels.every((value) => value === 0)).toBe(true);
    }
  });

  test("matrices after each other, and back, by hand", () => {
    const first: Matrix = [2, 0, 5, 0, 3, -7], second: Matrix = [0, -1, 4, 1, 0, 6];
    // (1, 2) goes to (7, -1), and then to (5, 13).
    expect(Array.from(apply(first, [1, 2]))).toEqual([7, -1]);
    expect(Array.from(apply(compose(second, first), [1, 2]))).toEqual([5, 13]);
    const tilted: Matrix = [2, 1, 5, -1, 3, -7];
    expect(Array.from(apply(invert(tilted), apply(tilted, [1, 2])))).toEqual([expect.closeTo(1, 5), expect.closeTo(2, 5)]);
    expect(determinant(tilted)).toBe(7);
    expect(scaleOf(tilted)).toBeCloseTo(Math.sqrt(7), 10);
    expect(overlap([0, 0, 4, 6], [1, 2, 4, 6])).toBeCloseTo(12 / 36, 10);
    expect(overlap([0, 0, 4, 6], [5, 0, 4, 6])).toBe(0);
    expect(overlap([0, 0, 4, 6], [0, 9, 4, 6])).toBe(0);
  });

  test("rotations are those of OpenCV, and lead back to their axes", () => {
    for (const { axis, matrix } of VECTORS.heads.rotations) {
      expect(largestDifference(turns(axis), matrix)).toBeLessThan(1e-6);
      const back = rotationVector(matrix), length = Math.hypot(...(axis as number[]));
      // Half a turn about an axis is one about the opposite axis too.
      const sign = Math.abs(length - Math.PI) < 1e-6 && back.reduce((sum, value, k) => sum + value * axis[k], 0) < 0 ? -1 : 1;
      expect(largestDifference(back.map((value) => sign * value), axis)).toBeLessThan(1e-4);
    }
    expect(solve([[0, 2], [3, 1]], [4, 11])).toEqual([3, 2]);
    expect(solve([[1, 2], [2, 4]], [1, 1])).toBeNull();
  });

  test("crops of many faces go to the network in batches, and its points come back to the picture", async () => {
    const counts: number[] = [], boxes: Box[] = Array.from({ length: 19 }, (_, i) => [5 + i, 8, 20 + i, 26]);
    const predictor = new CropPredictor(async (crops, count) => {
      counts.push(count);
      expect(crops).toHaveLength(count * 224 * 224 * 3);
      const last = boxes[counts.length * CROP.batch - CROP.batch + count - 1], roll = 10 * boxes.indexOf(last);
      expect(largestDifference(crops.subarray(-224 * 224 * 3), crop(image, cropMatrix(last, roll)))).toBe(0);
      // The first point is the middle of the crop, the second 10 pixels and more to its right.
      const points = Float32Array.from({ length: count * 136 }, (_, k) => 111.5 + (k % 136 === 2 ? 10 + Math.trunc(k / 136) : 0));
      return { points, uncertainty: Float32Array.from({ length: count * 68 }, (_, k) => 1 + Math.trunc(k / 68)) };
    });
    const found = await predictor.estimate(image, boxes, boxes.map((_, i) => 10 * i));
    expect(counts).toEqual([CROP.batch, 3]);
    expect(found).toHaveLength(boxes.length);
    found.forEach(({ points, uncertainty }, i) => {
      const [left, top, width, height] = boxes[i], away = 10 + (i % CROP.batch), scale = 224 / (Math.max(width, height) * MODEL.crop_scale), turn = (10 * i * Math.PI) / 180;
      expect([points.length, uncertainty.length]).toEqual([136, 68]);
      expect(points[0]).toBeCloseTo(left + width / 2, 3);
      expect(points[1]).toBeCloseTo(top + height / 2, 3);
      expect(points[2] - points[0]).toBeCloseTo((away * Math.cos(turn)) / scale, 3);
      expect(points[3] - points[1]).toBeCloseTo((away * Math.sin(turn)) / scale, 3);
      expect(uncertainty[67]).toBeCloseTo((1 + (i % CROP.batch)) / scale, 4);
    });
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

  test("how far eyes and mouth are open, and how flat points may lie", () => {
    const { points, openings } = VECTORS.tilted;
    expect(eyeOpening(points)).toBeCloseTo(openings[0], 5);
    expect(mouthOpening(points)).toBeCloseTo(openings[1], 5);
    let flat = 0;
    for (const { points: squeezed, rotation } of VECTORS.flat) {
      const fit = fitRotation(squeezed);
      if (rotation === null) {
        expect(fit).toBeNull();
        flat++;
      } else {
        expect(largestDifference(fit!.rotation, rotation)).toBeLessThan(1e-4);
      }
    }
    expect(flat).toBeGreaterThan(1);
    expect(flat).toBeLessThan(VECTORS.flat.length - 1);
  });

  test("the score of a face by its box", () => {
    const { points, uncertainty } = VECTORS.tilted;
    const estimate = { points: Float32Array.from(points as number[]), uncertainty: Float32Array.from(uncertainty as number[]) };
    for (const { box, score } of VECTORS.scores) expect(scoreFace(estimate, box, 240, 250)).toBeCloseTo(score, 4);
    const { box } = VECTORS.scores[0];
    const [left, top, width, height] = landmarkBox(points);
    expect(scoreFace(estimate, box, left - 1, 250)).toBe(0); // outside of the picture
    expect(scoreFace(estimate, box, 240, top - 1)).toBe(0);
    expect(scoreFace(estimate, box, left + 1, top + 1)).toBeGreaterThan(0);
    for (const [x, y] of [[left + width, 0], [0, top + height]]) {
      for (const [away, inside] of [[1, false], [-1, true]] as const) {
        const moved = { ...estimate, points: estimate.points.map((value, i) => value - (i % 2 ? y && y + away : x && x + away)) };
        expect(scoreFace(moved, landmarkBox(moved.points), 240, 250) > 0).toBe(inside);
      }
    }
  });

  test("the fit of a head to scattered points ends after as many rounds as in Python", () => {
    for (const { points, rotation, size } of VECTORS.scattered) {
      const fit = fitRotation(points)!;
      expect(largestDifference(fit.rotation, rotation)).toBeLessThan(1e-4);
      expect(fit.size).toBeCloseTo(size, 3);
    }
  });

  test("a face of one pixel can be one, one of half a pixel is none", () => {
    const points = VECTORS.tilted.points as number[], [left, top, ...sides] = landmarkBox(points);
    const score = (side: number) => {
      const small = Float32Array.from(points, (value, i) => 20 + ((value - (i % 2 ? top : left)) * side) / Math.max(...sides));
      return scoreFace({ points: small, uncertainty: new Float32Array(68).fill(-1) }, landmarkBox(small), 240, 250);
    };
    expect(score(1)).toBe(1); // and no more
    expect(score(0.5)).toBe(0); // taken for one in a box of a pixel, of which it is too far away
  });

  test("points of which nothing is known are taken as upright", () => {
    const points = VECTORS.tilted.points as number[];
    for (const mean of [[], [[0, 0]]] as [number, number][][]) {
      useModel({ ...MODEL, eyes: [], mouth: [], mean });
      try {
        const { box, roll } = uprightBox(points);
        expect(roll).toBe(0);
        expect(largestDifference(box, faceBox(points))).toBeLessThan(1e-9);
      } finally {
        useModel(VECTORS.model);
      }
    }
    // Eyes without a mouth, or a mouth without eyes, tell nothing: the mean face does.
    const { roll } = uprightBox(points);
    for (const part of [{ eyes: [] }, { mouth: [] }]) {
      useModel({ ...MODEL, ...part });
      try {
        expect(Math.abs(uprightBox(points).roll - roll)).toBeLessThan(5);
      } finally {
        useModel(VECTORS.model);
      }
    }
  });

  test("two points of a mean face tell the roll", () => {
    const points = [100, 100, 100 + 50 * Math.cos(0.7), 100 + 50 * Math.sin(0.7)];
    useModel({ ...MODEL, eyes: [], mouth: [], mean: [[0, 0], [1, 0]] });
    try {
      expect(uprightBox(points).roll).toBeCloseTo((0.7 * 180) / Math.PI - 15, 6); // a crop keeps 15 degrees
    } finally {
      useModel(VECTORS.model);
    }
  });

  test("a rotation with a rounding error beyond one has a yaw", () => {
    expect(angles([0, 0, 1 + 1e-12, 0, 1, 0, -1, 0, 0]).yaw).toBeCloseTo(90, 6);
    expect(angles([0, 0, -1 - 1e-12, 0, 1, 0, 1, 0, 0]).yaw).toBeCloseTo(-90, 6);
  });

  test("points on a line are no face", () => {
    expect(fitRotation(Array.from({ length: 136 }, (_, i) => i))).toBeNull();
    expect(fitRotation(new Array(136).fill(NaN))).toBeNull();
  });
});

test("the table has the columns of Python's, and JSON the same numbers", () => {
  const { points, uncertainty } = VECTORS.tilted, fit = fitRotation(points)!;
  const face = {
    id: 7, box: [1, 2, 3, 4] as Box, points: Float32Array.from(points as number[]),
    uncertainty: Float32Array.from(uncertainty as number[]), score: 0.75, rotation: fit.rotation,
  };
  const frames = [{ frame: 3, timestamp: 0.5, faces: [face] }];
  const [header, row, end] = toCsv(frames).split("\r\n").map((line) => line.split(","));
  expect(header).toEqual(MODEL.columns);
  expect(row).toHaveLength(MODEL.columns.length);
  expect(row.slice(0, 8)).toEqual(["3", "0.5000", "7", "1.00", "2.00", "3.00", "4.00", "0.7500"]);
  expect(row[MODEL.columns.indexOf("eye_opening")]).toBe(VECTORS.tilted.openings[0].toFixed(3));
  expect(row[MODEL.columns.indexOf("mouth_opening")]).toBe(VECTORS.tilted.openings[1].toFixed(3));
  expect(row[MODEL.columns.indexOf("yaw")]).toBe(VECTORS.tilted.angles[0].toFixed(1));
  expect(end).toEqual([""]);
  expect(JSON.parse(toJson(frames))[0].faces[0].points[67][1]).toBeCloseTo(points[135], 2);
  const turned = { ...face, rotation: turns([0, 0, -0.0003]) }; // roll of -0.02 degrees
  const level = toCsv([{ frame: 0, timestamp: 0, faces: [turned] }]).split("\r\n")[1].split(",");
  expect(level[MODEL.columns.indexOf("roll")]).toBe("0.0");
  const flat = { ...face, points: new Float32Array(136), rotation: null };
  flat.points[2 * 61 + 1] = 5; // the lips of a mouth without width are apart: 5 / 0, and of the eyes 0 / 0
  const last = toCsv([{ frame: 0, timestamp: 0, faces: [flat] }]).split("\r\n")[1].split(",");
  expect(last.slice(-6)).toEqual(["nan", "nan", "nan", "nan", "inf", "found"]);
  expect(JSON.parse(toJson([{ frame: 0, timestamp: 0, faces: [flat] }]))[0].faces[0].mouth_opening).toBeNull();
});

describe("points of one's own", () => {
  test.each(["five", "lone"])("box, roll, score and table of %s are those of Python", (name) => {
    const { model, points, box, roll, uncertainty, score, csv } = VECTORS.own[name];
    useModel(model);
    try {
      expect(largestDifference(faceBox(points), VECTORS.own[name].face_box)).toBeLessThan(1e-3);
      const place = uprightBox(points);
      expect(largestDifference(place.box, box)).toBeLessThan(1e-3);
      expect(place.roll).toBeCloseTo(roll, 3);
      expect(fitRotation(points)).toBe(null);
      const estimate = { points: Float32Array.from(points), uncertainty: Float32Array.from(uncertainty) };
      expect(scoreFace(estimate, box, 250, 240)).toBeCloseTo(score, 5);
      const face = { id: 3, box, score, rotation: null, ...estimate };
      expect(toCsv([{ frame: 7, timestamp: 0.25, faces: [face] }])).toBe(csv);
      const [{ faces: [plain] }] = JSON.parse(toJson([{ frame: 7, timestamp: 0.25, faces: [face] }]));
      expect(Object.keys(plain)).toEqual(["id", "box", "score", "points", "uncertainty", "origin"]);
      expect(plain.points).toHaveLength(points.length / 2);
    } finally {
      useModel(VECTORS.model);
    }
  });
});
