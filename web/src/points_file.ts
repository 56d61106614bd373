// Points as CSV, the columns of keypoints/media/landmark_csv.py, and as JSON.

import { COLUMNS, LANDMARKS } from "./constants";
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
  const lines = [COLUMNS.join(",")];
  for (const { frame, timestamp, faces } of frames) {
    for (const face of faces) {
      const { yaw, pitch, roll } = poseOf(face);
      lines.push([
        frame,
        timestamp.toFixed(4),
        face.id,
        ...face.box.map((value) => value.toFixed(2)),
        face.score.toFixed(4),
        ...Array.from(face.points, (value) => value.toFixed(2)),
        ...Array.from(face.uncertainty, (value) => value.toFixed(2)),
        ...[yaw, pitch, roll].map((angle) => spelt(angle, 1).replace(/^-(0\.0)$/, "$1")),
        spelt(eyeOpening(face.points), 3),
        spelt(mouthOpening(face.points), 3),
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
    faces: faces.map((face) => {
      const { yaw, pitch, roll } = poseOf(face);
      return {
        id: face.id,
        box: face.box.map((value) => round(value)),
        score: round(face.score, 4),
        points: Array.from({ length: LANDMARKS.count }, (_, i) => [round(face.points[2 * i]), round(face.points[2 * i + 1])]),
        uncertainty: Array.from(face.uncertainty, (value) => round(value)),
        yaw: round(yaw, 1), pitch: round(pitch, 1), roll: round(roll, 1), // NaN and infinity become null
        eye_opening: round(eyeOpening(face.points), 3),
        mouth_opening: round(mouthOpening(face.points), 3),
        origin: wasFound(face) ? "found" : "held",
      };
    }),
  }));
  return JSON.stringify(plain, null, 1) + "\n";
}

/** A number as Python writes it: also nan, inf. */
function spelt(value: number, digits: number): string {
  return Number.isFinite(value) ? value.toFixed(digits) : Number.isNaN(value) ? "nan" : value > 0 ? "inf" : "-inf";
}

function poseOf(face: Face): { yaw: number; pitch: number; roll: number } {
  return face.rotation ? angles(face.rotation) : { yaw: NaN, pitch: NaN, roll: NaN };
}
