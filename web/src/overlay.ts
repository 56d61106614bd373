// Outlines, points and head axes over the shown picture, as in keypoints/media/overlay.py.

import { MODEL, OVERLAY } from "./constants";
import type { Face } from "./tracking";

export function drawPoints(context: CanvasRenderingContext2D, face: Face): void {
  const { points } = face, width = Math.max(Math.max(face.box[2], face.box[3]) * OVERLAY.line_width, 1);
  const colour = `rgb(${OVERLAY.colour.join(" ")})`;
  context.lineWidth = width;
  context.strokeStyle = context.fillStyle = colour;
  context.lineJoin = context.lineCap = "round";
  for (const [indices, closed] of MODEL.outlines) {
    context.beginPath();
    // The centre of the first pixel is (0, 0), and (0.5, 0.5) for a canvas.
    for (const i of indices) context.lineTo(points[2 * i] + 0.5, points[2 * i + 1] + 0.5);
    if (closed) context.closePath();
    context.stroke();
  }
  for (let i = 0; i < points.length; i += 2) {
    context.beginPath();
    context.arc(points[i] + 0.5, points[i + 1] + 0.5, width + 0.5, 0, 2 * Math.PI);
    context.fill();
  }
}

/** x red, y green, z (out of the face) blue. */
export function drawAxes(context: CanvasRenderingContext2D, { points, rotation, box }: Face): void {
  if (!rotation) return;
  const size = Math.max(box[2], box[3]), count = MODEL.rigid.length;
  const [x, y] = [0, 1].map((axis) => MODEL.rigid.reduce((sum, i) => sum + points[2 * i + axis] / count, 0.5));
  context.lineWidth = Math.max(size * OVERLAY.axis_width, 1);
  context.lineCap = "round";
  // The axis that points farthest away from the viewer is drawn first.
  const order = [0, 1, 2].sort((a, b) => rotation[6 + a] - rotation[6 + b]);
  for (const axis of order) {
    context.strokeStyle = `rgb(${OVERLAY.axes[axis].join(" ")})`;
    context.beginPath();
    context.moveTo(x, y);
    context.lineTo(x + rotation[axis] * size * OVERLAY.axis, y + rotation[3 + axis] * size * OVERLAY.axis);
    context.stroke();
  }
}
