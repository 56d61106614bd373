import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { FILTERS } from "../src/constants";
import { Cuts, small } from "../src/cuts";
import type { Detection } from "../src/detector";
import { type Box, type Picture } from "../src/geometry";
import { searchPolicy } from "../src/policy";
import { fitRotation } from "../src/pose";
import { settled } from "../src/settling";
import { OneEuro, OneEuroRotation } from "../src/smoothing";
import { FrameClock } from "../src/sources";
import { Tracker, findFaces } from "../src/tracking";
import { uprightBox } from "../src/upright";
import { FOLDER, VECTORS, largestDifference, picture } from "./vectors";

describe("tracking", () => {
  test("the One-Euro filters give the points and rotations of Python", () => {
    const points = new OneEuro(), turn = new OneEuroRotation();
    VECTORS.frames.forEach(({ time, faces }: { time: number; faces: number[][] }, i: number) => {
      expect(largestDifference(points.smooth(faces[0], time), VECTORS.smooth[i].points)).toBeLessThan(0.01);
      const rotation = turn.smooth(fitRotation(faces[0])!.rotation, time)!;
      expect(largestDifference(rotation, VECTORS.smooth[i].rotation)).toBeLessThan(1e-4);
    });
  });

  test.each([["frames", 2], ["crossing", 2], ["hidden", 2]])("the tracker gives the ids, points and scores of Python: %s", async (sequence, people) => {
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
    for (const frame of VECTORS[sequence]) {
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
    expect(most).toBe(people);
  });
});

test("a face that comes back where it was is the same one if its size has changed by less than a factor of exp(0.8)", async () => {
  const frame = picture(600, 600, new Uint8Array(600 * 600 * 3));
  for (const [factor, id] of [[2.1, 0], [2.4, 1], [1 / 2.1, 0], [1 / 2.4, 1]]) {
    let size = 150, there = true;
    const points = () => Float32Array.from({ length: 136 }, (_, i) => {
      const turn = (Math.PI * Math.trunc(i / 2)) / 34;
      return 300 + (size / 2) * (i % 2 ? Math.sin(turn) : Math.cos(turn));
    });
    const tracker = trackerOf(points, () => there);
    expect((await tracker.update(frame, 0)).map((face) => face.id)).toEqual([0]);
    there = false;
    await tracker.update(frame, 0.1);
    [size, there] = [150 * factor, true];
    expect((await tracker.update(frame, 0.2)).filter((face) => face.score > 0.5).map((face) => face.id)).toEqual([id]);
  }
});

test.each([[200, 100], [100, 200]])("a face of %i x %i pixels that was gone is the same one within 0.8 sides", async (width, height) => {
  const frame = picture(600, 600, new Uint8Array(600 * 600 * 3));
  for (const [away, id] of [[150, 0], [170, 1]]) {
    for (const [x, y] of [[away, 0], [-away, 0], [0, away], [0, -away]]) {
      let left = 200, top = 200, there = true;
      // Points on the border of the box.
      const points = () => Float32Array.from({ length: 136 }, (_, i) => {
        const turn = (Math.PI * Math.trunc(i / 2)) / 34;
        return i % 2 ? top + (height / 2) * (1 + Math.sin(turn)) : left + (width / 2) * (1 + Math.cos(turn));
      });
      const tracker = trackerOf(points, () => there);
      expect((await tracker.update(frame, 0)).map((face) => face.id)).toEqual([0]);
      there = false;
      await tracker.update(frame, 0.1);
      [left, top, there] = [left + x, top + y, true];
      // Where the track is followed, its crop is too far away from the face.
      expect((await tracker.update(frame, 0.2)).filter((face) => face.score > 0.5).map((face) => face.id)).toEqual([id]);
    }
  }
});

/** A tracker of one face, which detector and network see only while it is there. */
function trackerOf(points: () => Float32Array, there: () => boolean): Tracker {
  return new Tracker(
    { estimate: async (_, boxes) => boxes.map(() => ({ points: points(), uncertainty: new Float32Array(68).fill(there() ? 1 : 99) })) },
    { detect: async () => (there() ? [{ box: box(points()), score: 1, roll: 0 }] : []) },
  );
}

function box(points: Float32Array): Box {
  const [xs, ys] = [0, 1].map((axis) => points.filter((_, i) => i % 2 === axis));
  const [left, top] = [Math.min(...xs), Math.min(...ys)];
  return [left, top, Math.max(...xs) - left, Math.max(...ys) - top];
}

test("no face of a picture is estimated twice, and those with low scores are ignored", async () => {
  const { points } = VECTORS.tilted, own = uprightBox(points).box;
  const sizes: number[] = [];
  const predictor = {
    estimate: async (_: unknown, boxes: Box[]) => {
      sizes.push(boxes.length);
      return boxes.map((place) => ({
        points: Float32Array.from(points as number[], (value, i) => value + (i % 2 ? 0 : place[0] - own[0])),
        uncertainty: new Float32Array(68).fill(place[0] > own[0] + 5 ? 99 : 1),
      }));
    },
  };
  const face = { box: own, score: 1, roll: 0 }, other = { ...face, box: [own[0] + 20, own[1], own[2], own[3]] as Box };
  const early: number[] = [];
  const detector = {
    detect: async (_: unknown, tell?: (found: Detection[]) => Promise<void>) => {
      await tell?.([face]);
      return [face, other];
    },
  };
  const empty = picture(240, 250, new Uint8Array(240 * 250 * 3));
  const found = await findFaces(empty, predictor, detector, ({ faces }) => early.push(faces.length));
  expect(sizes).toEqual([1, 1]);
  expect(early).toEqual([1]);
  expect(found.faces.map(({ id }) => id)).toEqual([0]);
  expect(found.ignored).toEqual([other.box]);
});

test("a face that is not where its detector says is estimated again, if it is still one", async () => {
  const mean = Float32Array.from(VECTORS.tilted.points as number[]);
  const { box: upright, roll } = uprightBox(mean);
  for (const [grown, first, second, times] of [[1.2, 1, 1, 1], [1.33, 1, 1, 2], [1.33, 1, 99, 2], [1.33, 99, 1, 2]]) {
    const asked: { box: Box; roll: number }[] = [];
    const predictor = {
      estimate: async (_: unknown, boxes: Box[], rolls: number[]) => {
        asked.push(...boxes.map((place, i) => ({ box: place, roll: rolls[i] })));
        const again = asked.length > 1;
        return boxes.map(() => ({
          points: mean.map((value) => value + (again ? 1 : 0)),
          uncertainty: new Float32Array(68).fill(again ? second : first),
        }));
      },
    };
    const wide: Box = [upright[0], upright[1], upright[2] * grown, upright[3]];
    const detector = { detect: async () => [{ box: wide, score: 1, roll }] };
    const empty = picture(240, 250, new Uint8Array(240 * 250 * 3));
    const { faces } = await findFaces(empty, predictor, detector);
    expect(asked.length).toBe(times);
    if (times === 2) {
      expect(largestDifference(asked[1].box, upright)).toBeLessThan(1e-3);
      expect(asked[1].roll).toBeCloseTo(roll, 5);
    }
    expect(faces[0].points[0] - mean[0]).toBeCloseTo(times === 2 && second === 1 ? 1 : 0, 4);
  }
});

test("an early estimate of a face does not keep it from its second one", async () => {
  const { box: own, roll } = uprightBox(VECTORS.tilted.points);
  const at = (grown: number) => ({ box: [own[0], own[1], own[2] * grown, own[3]] as Box, score: 1, roll });
  const asked: number[] = [];
  const predictor = {
    estimate: async (_: unknown, boxes: Box[]) => boxes.map((place) => {
      asked.push(place[2] / own[2]);
      const points = Float32Array.from(VECTORS.tilted.points as number[], (value) => value + (place[2] > own[2] * 1.01 ? 0 : 1));
      return { points, uncertainty: new Float32Array(68).fill(1) };
    }),
  };
  const detector = {
    detect: async (_: unknown, tell?: (found: Detection[]) => Promise<void>) => {
      await tell?.([at(1.1)]);
      return [at(1.4)]; // the same face, seen better by another search
    },
  };
  const { faces } = await findFaces(picture(240, 250, new Uint8Array(240 * 250 * 3)), predictor, detector, () => undefined);
  expect(asked.map((grown) => Math.round(10 * grown) / 10)).toEqual([1.1, 1.4, 1]);
  expect(faces[0].points[0] - VECTORS.tilted.points[0]).toBeCloseTo(1, 3);
});

test("a second estimate stays with the box of its detector and takes no other face", async () => {
  const mean = Float32Array.from(VECTORS.tilted.points as number[]);
  const { box: [left, top, width, height], roll } = uprightBox(mean);
  const at = (x: number, score: number) => ({ points: mean.map((value, i) => value + (i % 2 ? 0 : x)), uncertainty: mean, score });
  const place = (x: number) => ({ box: [left + x, top, width, height] as Box, roll });
  /** The scores of faces whose first and second estimates are given, in boxes moved by so much. */
  const scores = async (moves: number[], first: ReturnType<typeof at>[], second: ReturnType<typeof at>[], known: ReturnType<typeof at>[] = []) => {
    const answers = [[...first], second];
    return (await settled(moves.map(place), async () => answers.shift()!, known)).map(({ score }) => score);
  };
  expect(await scores([0.5 * width], [at(0, 0.1)], [at(0, 0.9)])).toEqual([0.9]); // they overlap by 1 / 3
  expect(await scores([0.6 * width], [at(0, 0.1)], [at(0, 0.9)])).toEqual([0.1]); // by 1 / 4
  expect(await scores([0.5 * width], [at(0, 0)], [at(0, 0)])).toEqual([0]);
  expect(await scores([0.5 * width], [at(0, 0.3)], [at(0, 0.35)])).toEqual([0.35]);
  expect(await scores([0.5 * width], [at(0, 0.3)], [at(0, 0.2)])).toEqual([0.3]);
  const near = 0.3 * width;
  for (const [rival, taken] of [[0.7, 0.3], [0.4, 0.9]]) {
    expect((await scores([near + 0.3 * width, 0], [at(near, 0.3), at(0, rival)], [at(near, 0.9)]))[0]).toBe(taken);
    expect(await scores([near + 0.3 * width], [at(near, 0.3)], [at(near, 0.9)], [at(0, rival)])).toEqual([taken]);
  }
  // Of two that go to the same place the one with the higher score does.
  expect(await scores([-0.3 * width, 0.3 * width], [at(0, 0.3), at(0, 0.3)], [at(0, 0.8), at(0, 0.9)])).toEqual([0.3, 0.9]);
});

test("a video that was paused before a frame of it was told is taken as it is", async () => {
  const told: ((now: number, facts: { mediaTime: number }) => void)[] = [];
  const video = { currentTime: 0.4, requestVideoFrameCallback: (tell: (typeof told)[0]) => told.push(tell) };
  const clock = new FrameClock(video as unknown as HTMLVideoElement);
  clock.again();
  expect(await clock.next(() => true)).toBe(0.4);
  told[0](0, { mediaTime: 0.3 }); // the time of the frame itself, as soon as it is known
  expect(await clock.next(() => true)).toBe(0.3);
  clock.again();
  expect(await clock.next(() => true)).toBe(0.3);
});

test("cuts are those of Python", () => {
  const cuts = new Cuts();
  const found = VECTORS.cuts.map(({ file, width, height }: { file: string; width: number; height: number }) =>
    cuts.isCut(picture(width, height, readFileSync(join(FOLDER, file)))));
  expect(found).toEqual(VECTORS.cuts.map(({ cut }: { cut: boolean }) => cut));
  for (const { file, width, height, gray } of VECTORS.cuts) {
    expect(largestDifference(small(picture(width, height, readFileSync(join(FOLDER, file)))), gray)).toBeLessThan(1.1);
  }
});

test("cuts worked by hand, in pictures of one pixel a part", () => {
  const gray = (value: number, ...more: number[][]) => {
    const bytes = new Uint8Array(24 * 24 * 3).fill(value);
    for (const [cell, added] of more) bytes.fill(value + added, 3 * cell, 3 * cell + 3);
    return picture(24, 24, bytes);
  };
  const cut = (before: Picture, after: Picture) => {
    const cuts = new Cuts();
    expect(cuts.isCut(before)).toBe(false); // the first
    return cuts.isCut(after);
  };
  // Nothing is alike; the mean change counts, over 12.
  const striped = (added: number) => gray(100, ...Array.from({ length: 288 }, (_, i) => [2 * i, added]));
  expect(cut(gray(100), striped(23))).toBe(false); // 11.5 on average, and then 12.5
  expect(cut(gray(100), striped(25))).toBe(true);
  expect(cut(striped(25), gray(100))).toBe(true);
  // What is alike counts, however faint: one lighter cell, and the same one.
  expect(cut(gray(50, [7, 1]), gray(100, [7, 1]))).toBe(false);
  expect(cut(gray(50, [7, 1]), gray(100, [300, 1]))).toBe(true);
  expect(cut(gray(50, [7, 1]), gray(100, [7, -1]))).toBe(true);
  // One cell of three: 1 / sqrt(1 * 3) = 0.58, and of five: 1 / sqrt(1 * 5) = 0.45.
  const [one, three, five] = [1, 3, 5].map((count) => Array.from({ length: count }, (_, i) => [50 * i, 1]));
  expect(cut(gray(50, ...one), gray(100, ...three))).toBe(false);
  expect(cut(gray(100, ...three), gray(50, ...one))).toBe(false);
  expect(cut(gray(50, ...one), gray(100, ...five))).toBe(true);
  expect(cut(gray(100, ...five), gray(50, ...one))).toBe(true);
});

test("a privacy filter has small faces searched for, and in every frame", () => {
  const spec = (name: string) => FILTERS.find((filter) => filter.name === name)!;
  expect(searchPolicy(null, true)).toEqual({ smallest: 0.08, rotations: false, detectEvery: 0.2 });
  expect(searchPolicy(spec("crown"), true)).toEqual(searchPolicy(null, true));
  for (const name of ["blur", "pixelate"]) {
    expect(searchPolicy(spec(name), true)).toEqual({ smallest: 0.02, rotations: false, detectEvery: 0 });
    expect(searchPolicy(spec(name), false)).toEqual({ smallest: 0.007, rotations: true, detectEvery: 0 });
  }
});
