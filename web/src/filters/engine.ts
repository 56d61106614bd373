// Draws the layers of a filter on all faces, the farthest first, as in keypoints/filters/engine.py.

import { HOLD, MODEL } from "../constants";
import { Cuts } from "../cuts";
import { type Box, type Picture, faceBox } from "../geometry";
import { Ball, type Linear } from "./ball";
import { blur, bulge, coverage, pixelate } from "./effects";
import { type Area, type Head, type Place, boxArea, findHead } from "./head";
import { type FilterSpec, type StickerLayer, protects } from "./spec";
import { type Patch, blend, drawMesh, drawPlane, fitPlane, mean, move, multiplyPlanes } from "./warp";

/** Levels of each art by its address, as of `pyramid`. */
export type Art = Map<string, Picture[]>;

/** A face to draw on; `id` stays the same from frame to frame. */
export interface Target {
  id: number;
  points: ArrayLike<number>;
}

export class Filter {
  private balls = new Map<number, Map<number, Ball>>();
  private hidden = new Map<number, { time: number; area: Area }>();
  private cuts = new Cuts();

  constructor(readonly spec: FilterSpec, private readonly art: Art) {}

  /**
   * Draw on `picture` in place. `boxes`: those of faces whose points are not known, which only
   * layers that hide faces are drawn on, as on the boxes of points that are not the 68 of iBUG.
   * `moving`: the picture follows the frame before.
   */
  apply(picture: Picture, faces: Target[], timestamp: number, moving = true, boxes: Box[] = []): void {
    const cut = moving && protects(this.spec) && this.cuts.isCut(picture);
    const heads = (MODEL.whole ? faces : [])
      .map(({ id, points }) => ({ id, head: findHead(points) }))
      .filter((face): face is { id: number; head: Head } => face.head !== null)
      .sort((a, b) => a.head.size - b.head.size);
    for (const box of boxes) this.hide(picture, boxArea(box));
    const areas = new Map(heads.map(({ id, head }) => [id, head.area()]));
    if (!MODEL.whole) {
      for (const { id, points } of faces) areas.set(id, boxArea(faceBox(points)));
      for (const area of areas.values()) this.hide(picture, area);
    }
    const alive = new Set(heads.map(({ id }) => id));
    if (moving) {
      for (const id of this.balls.keys()) if (!alive.has(id)) this.balls.delete(id);
      if (cut) this.hidden.clear();
      if (protects(this.spec)) this.hold(picture, areas, timestamp);
    }
    heads.forEach(({ id, head }, place) => {
      const balls = (moving && this.balls.get(id)) || new Map<number, Ball>();
      if (moving) this.balls.set(id, balls);
      this.draw(picture, head, heads.slice(place + 1).map((other) => other.head), balls, timestamp);
    });
  }

  /** Hide the faces that were lost a moment ago. */
  private hold(picture: Picture, areas: Map<number, Area>, timestamp: number): void {
    const recent = new Map<number, { time: number; area: Area }>();
    for (const [id, { time, area }] of this.hidden) {
      const age = timestamp - time;
      if (areas.has(id) || age < 0 || age > HOLD) continue;
      recent.set(id, { time, area });
      this.hide(picture, area);
    }
    for (const [id, area] of areas) recent.set(id, { time: timestamp, area });
    this.hidden = recent;
  }

  private hide(picture: Picture, area: Area): void {
    for (const layer of this.spec.layers) {
      if (layer.kind === "blur") blur(picture, area, layer);
      else if (layer.kind === "pixelate") pixelate(picture, area, layer);
    }
  }

  private draw(picture: Picture, head: Head, nearer: Head[], balls: Map<number, Ball>, timestamp: number): void {
    this.spec.layers.forEach((layer, number) => {
      if (layer.kind === "sticker") {
        const patch = this.warped(layer, head, picture, balls, number, timestamp);
        if (patch) blend(picture, patch, layer.opacity, hiding(layer, head, nearer, patch));
      } else if (layer.kind === "bulge") {
        bulge(picture, head, layer);
      } else if (layer.kind === "blur") {
        blur(picture, head.area(), layer);
      } else if (layer.kind === "pixelate") {
        pixelate(picture, head.area(), layer);
      }
    });
  }

  /** The art of a layer warped to this head; null if nothing of it is visible. */
  private warped(
    layer: StickerLayer,
    head: Head,
    { width, height }: Picture,
    balls: Map<number, Ball>,
    number: number,
    timestamp: number,
  ): Patch | null {
    const levels = this.art.get(layer.art);
    if (!levels) throw new Error(`${layer.art} is not loaded`);
    const source = layer.anchors.map((anchor) => anchor.at);
    let target = layer.anchors.map((anchor) => head.place(anchor.points, anchor.offset));
    const middle = mean(target);
    target = target.map(([x, y]): Place => [middle[0] + (x - middle[0]) * layer.grow, middle[1] + (y - middle[1]) * layer.grow]);
    if (layer.triangles) return drawMesh(levels, layer.triangles, source, target, width, height);
    let plane = fitPlane(layer.fit, source, target);
    if (!plane) return null;
    if (layer.loose) {
      const start = (layer.loose.start * Math.PI) / 180, radius = layer.loose.radius;
      const ball = balls.get(number) ?? new Ball([Math.cos(start), Math.sin(start)]);
      balls.set(number, ball);
      const [a, b, , c, d] = plane.map((value) => value * Math.max(radius, 1e-3)), det = a * d - b * c;
      const toDish: Linear = [d / det, -b / det, -c / det, a / det];
      const [x, y] = ball.step(timestamp, move(plane, mean(source)), toDish);
      plane = multiplyPlanes(plane, [1, 0, x * radius, 0, 1, y * radius, 0, 0, 1]);
    }
    return drawPlane(levels, plane, width, height);
  }
}

/** Share of each pixel of the patch that the head or a nearer face hides; null: nothing. */
function hiding(layer: StickerLayer, head: Head, nearer: Head[], patch: Patch): Float32Array | null {
  const outlines = nearer.map((other) => other.faceOutline());
  if (layer.normal && head.facesAway(layer.normal)) outlines.push(head.faceOutline(), head.skullOutline());
  if (!outlines.length) return null;
  const hidden = new Float32Array(patch.width * patch.height);
  for (const outline of outlines) {
    const own = outline.map(([x, y]): Place => [x - patch.left, y - patch.top]);
    coverage(own, patch.width, patch.height).forEach((share, i) => (hidden[i] = Math.max(hidden[i], share)));
  }
  return hidden;
}
