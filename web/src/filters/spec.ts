// Filters as the Python code reads them from each filter.toml (keypoints/filters/spec.py).

export interface Anchor {
  points: number[];
  offset: [number, number, number];
  at: [number, number];
}

export interface StickerLayer {
  kind: "sticker";
  art: string;
  fit: "similarity" | "affine" | "perspective" | "piecewise";
  anchors: Anchor[];
  triangles: [number, number, number][] | null;
  grow: number;
  opacity: number;
  normal: [number, number, number] | null;
  loose: { radius: number; start: number } | null;
}

export interface BulgeLayer {
  kind: "bulge";
  points: number[];
  radius: number;
  strength: number;
}

export interface BlurLayer {
  kind: "blur";
  margin: number;
  sigma: number;
}

export interface PixelateLayer {
  kind: "pixelate";
  margin: number;
  blocks: number;
}

export interface OutlinesLayer {
  kind: "outlines";
  colour: [number, number, number];
  width: number;
}

export type Layer = StickerLayer | BulgeLayer | BlurLayer | PixelateLayer | OutlinesLayer;

export interface FilterSpec {
  name: string;
  description: string;
  layers: Layer[];
}

/** Whether a filter hides who somebody is. */
export function protects(spec: FilterSpec): boolean {
  return spec.layers.some((layer) => layer.kind === "blur" || layer.kind === "pixelate");
}
