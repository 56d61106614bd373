// Points as CSV, the columns of keypoints/media/landmark_csv.py, and as JSON.

import { MODEL } from "./constants";
import { eyeOpening, mouthOpening } from "./expression";
import { angles } from "./pose";
import { type Face, wasFound } from "./tracking";

export interface NotedFrame {
  frame: number;
  /** Seconds. */
  timestamp: number;
  faces: Face[];
}

export function toCsv(frames: NotedFrame[]): string {
  const lines = [MODEL.columns.join(",")];
  for (const { frame, timestamp, faces } of frames) {
    for (const face of faces) {
      lines.push([
        frame,
        timestamp.toFixed(4),
        face.id,
        ...face.box.map((value) => value.toFixed(2)),
        face.score.toFixed(4),
        ...Array.from(face.points, (value) => value.toFixed(2)),
        ...Array.from(face.uncertainty, (value) => value.toFixed(2)),
        ...Object.values(measures(face)).map(([value, digits]) => spelt(value, digits).replace(/^-(0\.0*)$/, "$1")),
        wasFound(face) ? "found" : "held",
      ].join(","));
    }
  }
  return lines.join("\r\n") + "\r\n";
}

export function toJson(frames: NotedFrame[]): string {
  const round = (value: number, digits = 2) => Number(value.toFixed(digits));
  const plain = frames.map(({ frame, timestamp, faces }) => ({
    frame,
    timestamp: round(timestamp, 4),
    faces: faces.map((face) => ({
      id: face.id,
      box: face.box.map((value) => round(value)),
      score: round(face.score, 4),
      points: Array.from({ length: MODEL.count }, (_, i) => [round(face.points[2 * i]), round(face.points[2 * i + 1])]),
      uncertainty: Array.from(face.uncertainty, (value) => round(value)),
      // NaN and infinity become null.
      ...Object.fromEntries(Object.entries(measures(face)).map(([name, [value, digits]]) => [name, round(value, digits)])),
      origin: wasFound(face) ? "found" : "held",
    })),
  }));
  return JSON.stringify(plain, null, 1) + "\n";
}

/** A number as Python writes it: also nan, inf. */
function spelt(value: number, digits: number): string {
  return Number.isFinite(value) ? value.toFixed(digits) : Number.isNaN(value) ? "nan" : value === Infinity ? "inf" : "-inf";
}

/** What is measured on a face, and to how many decimal places, where its points have it. */
function measures({ points, rotation }: Face): Record<string, [number, number]> {
  const { yaw, pitch, roll } = rotation ? angles(rotation) : { yaw: NaN, pitch: NaN, roll: NaN };
  return {
    ...(MODEL.rigid.length && { yaw: [yaw, 1], pitch: [pitch, 1], roll: [roll, 1] }),
    ...(MODEL.eye_openings.length && { eye_opening: [eyeOpening(points), 3] }),
    ...(MODEL.mouth_opening.length && { mouth_opening: [mouthOpening(points), 3] }),
  } as Record<string, [number, number]>;
}
