// What is drawn over the picture: points, outlines, hints, the loupe.

import type { Face, Place } from "./editor";
import { type Outline, type View, lines, toWindow } from "./view";

const OUTLINE = "rgb(90 235 110)", COVERED = "rgb(255 190 60)", SWAPPED = "rgb(255 90 90)", PAIR = "rgb(90 200 255)";
const HALO = "rgb(0 0 0 / 60%)"; // below what is drawn, so that it is seen on any picture
const LOUPE = 70, NEARER = 5; // radius in window pixels, and how much nearer than the picture

export interface Scene {
  image: ImageBitmap;
  view: View;
  faces: readonly Face[];
  outlines: readonly Outline[];
  face: number;
  point: number | null;
  /** Points that are moved together; null: no such choice. */
  part: readonly number[] | null;
  /** What is written beside each point. */
  labels: readonly string[] | null;
  swapped: readonly [number, number][];
  /** Mirror pairs, while they are being made. */
  pairs: readonly [number, number][];
  /** Of a new face, while it is drawn. */
  box: readonly [Place, Place] | null;
  /** Eyes that were clicked. */
  clicks: readonly Place[];
  /** The place under the loupe; null: none is shown. */
  loupe: Place | null;
  filter: string;
}

export function drawScene(picture: HTMLCanvasElement, over: HTMLCanvasElement, scene: Scene | null): void {
  const contexts = [picture, over].map((canvas) => {
    canvas.width = Math.round(canvas.clientWidth * devicePixelRatio);
    canvas.height = Math.round(canvas.clientHeight * devicePixelRatio);
    const context = canvas.getContext("2d")!;
    context.scale(devicePixelRatio, devicePixelRatio);
    return context;
  });
  if (!scene) return;
  picture.style.filter = scene.filter;
  drawPicture(contexts[0], scene.image, scene.view);
  const [, context] = contexts;
  scene.faces.forEach((_, face) => drawFace(context, scene, face));
  if (scene.box) {
    const [[left, top], [right, bottom]] = scene.box.map((place) => toWindow(scene.view, place));
    twice(context, "white", 1.5, () => context.rect(left, top, right - left, bottom - top));
  }
  for (const place of scene.clicks) twice(context, COVERED, 1.5, () => cross(context, toWindow(scene.view, place), 9));
  if (scene.loupe) drawLoupe(context, scene, scene.loupe);
}

function drawPicture(context: CanvasRenderingContext2D, image: ImageBitmap, { scale, left, top }: View): void {
  context.imageSmoothingEnabled = scale < 4; // near, single pixels are seen
  context.drawImage(image, left, top, image.width * scale, image.height * scale);
}

function drawFace(context: CanvasRenderingContext2D, scene: Scene, number: number): void {
  const { points, covered } = scene.faces[number], chosen = number === scene.face;
  const seats = points.map((point) => point && toWindow(scene.view, point));
  // Small where the face is small in the window.
  const across = seats.filter((seat) => seat !== null).map(([x]) => x);
  const size = Math.min(Math.max((Math.max(...across) - Math.min(...across)) / 90, 1.6), 3);
  const join = (pairs: readonly (readonly [number, number])[]) => () => {
    for (const [a, b] of pairs) {
      const [from, to] = [seats[a], seats[b]];
      if (!from || !to) continue;
      context.moveTo(...from);
      context.lineTo(...to);
    }
  };
  context.globalAlpha = chosen ? 1 : 0.5;
  const part = chosen ? scene.part : null;
  for (const outline of scene.outlines) {
    const own = part === outline.points;
    twice(context, own ? "white" : OUTLINE, own ? 2 : 0.5 * size, join(lines(outline)));
  }
  if (chosen) {
    twice(context, PAIR, 1, join(scene.pairs));
    context.setLineDash([6, 4]);
    twice(context, SWAPPED, 2, join(scene.swapped));
    context.setLineDash([]);
  }
  const red = new Set(chosen ? scene.swapped.flat() : []);
  seats.forEach((seat, i) => {
    if (!seat) return;
    const own = chosen && i === scene.point;
    const colour = red.has(i) ? SWAPPED : covered.has(i) ? COVERED : part?.includes(i) ? "white" : OUTLINE;
    // The chosen point is a large ring, so that the pixel below it can be seen; a covered one a small ring.
    if (own || covered.has(i)) twice(context, colour, 1.5, () => context.arc(...seat, own ? 7 : 2 * size, 0, 2 * Math.PI));
    if (own) twice(context, colour, 1, () => cross(context, seat, 3));
    else if (!covered.has(i)) disc(context, seat, size, colour);
    if (scene.labels && chosen) write(context, scene.labels[i] ?? "", seat);
  });
  context.globalAlpha = 1;
}

/** A part of the picture, nearer, beside a place of it. */
function drawLoupe(context: CanvasRenderingContext2D, scene: Scene, place: Place): void {
  const { canvas } = context, [x, y] = toWindow(scene.view, place), away = LOUPE + 40;
  // Above, so that no finger lies on it, and inside the window.
  const left = x + away + LOUPE < canvas.clientWidth ? x + away : x - away;
  const top = Math.min(Math.max(y - away, LOUPE + 4), canvas.clientHeight - LOUPE - 4);
  const scale = Math.min(Math.max(scene.view.scale * NEARER, 4), 64);
  const view = { scale, left: left - (place[0] + 0.5) * scale, top: top - (place[1] + 0.5) * scale };
  context.save();
  context.beginPath();
  context.arc(left, top, LOUPE, 0, 2 * Math.PI);
  context.clip();
  context.fillStyle = "black";
  context.fill();
  context.filter = scene.filter;
  drawPicture(context, scene.image, view);
  context.filter = "none";
  twice(context, OUTLINE, 1, () => {
    for (const [dx, dy] of [[1, 0], [-1, 0], [0, 1], [0, -1]]) {
      context.moveTo(left + 5 * dx, top + 5 * dy);
      context.lineTo(left + LOUPE * dx, top + LOUPE * dy);
    }
  });
  context.restore();
  twice(context, "white", 2, () => context.arc(left, top, LOUPE, 0, 2 * Math.PI));
}

/** The path over a wider dark one. */
function twice(context: CanvasRenderingContext2D, colour: string, width: number, path: () => void): void {
  context.beginPath();
  path();
  context.lineWidth = width + 1.5;
  context.strokeStyle = HALO;
  context.stroke();
  context.lineWidth = width;
  context.strokeStyle = colour;
  context.stroke();
}

function disc(context: CanvasRenderingContext2D, seat: Place, size: number, colour: string): void {
  for (const [radius, fill] of [[size + 1, HALO], [size, colour]] as const) {
    context.beginPath();
    context.arc(...seat, radius, 0, 2 * Math.PI);
    context.fillStyle = fill;
    context.fill();
  }
}

function cross(context: CanvasRenderingContext2D, [x, y]: Place, size: number): void {
  context.moveTo(x - size, y);
  context.lineTo(x + size, y);
  context.moveTo(x, y - size);
  context.lineTo(x, y + size);
}

function write(context: CanvasRenderingContext2D, text: string, [x, y]: Place): void {
  context.font = "12px system-ui, sans-serif";
  context.lineWidth = 3;
  context.strokeStyle = HALO;
  context.strokeText(text, x + 6, y - 6);
  context.fillStyle = "white";
  context.fillText(text, x + 6, y - 6);
}
