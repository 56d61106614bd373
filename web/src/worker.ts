// Finds faces and draws filters beside the page, so that it never stutters.

import { FILTERS, MODEL, type Model, useModel } from "./constants";
import { CenterFace } from "./detector";
import { type Art, Filter } from "./filters/engine";
import { protects } from "./filters/spec";
import { pyramid } from "./filters/warp";
import type { Box, Picture } from "./geometry";
import type { FrameRequest, PictureRequest, Reply, Request } from "./messages";
import { type Networks, download, firstLine, loadNetworks } from "./networks";
import { type SearchPolicy, searchPolicy } from "./policy";
import { CropPredictor } from "./predictor";
import { type Face, type Found, Tracker, findFaces, hasPose } from "./tracking";

interface Still extends Found {
  picture: Picture;
}

const scope = self as unknown as DedicatedWorkerGlobalScope;
const canvas = new OffscreenCanvas(1, 1);
const context = canvas.getContext("2d", { willReadFrequently: true })!;
let networks: Networks;
let predictor: CropPredictor;
let art: Promise<Art>;
let tracker: Tracker | null = null; // of the video
let still: Still | null = null; // the last picture, as it is
let filter: Filter | null = null;

let queue: Promise<void> = Promise.resolve();
scope.onmessage = ({ data }: MessageEvent<Request>) => {
  queue = queue.then(() =>
    answer(data).catch((error) => {
      reply({ kind: "error", number: "number" in data ? data.number : null, message: firstLine(error) });
    }),
  );
};

async function answer(request: Request): Promise<void> {
  if (request.kind === "start") {
    const facts = await download(request.base, "models/model.json");
    useModel(JSON.parse(new TextDecoder().decode(facts)) as Model);
    networks = await loadNetworks(request.base, request.threads);
    predictor = new CropPredictor(networks.landmarks);
    art = loadArt(request.base);
    art.catch(() => undefined); // told where a filter needs it
    reply({ kind: "ready", threads: request.threads, model: MODEL });
  } else if (request.kind === "reset") {
    tracker = filter = still = null;
  } else if (request.kind === "frame") {
    await frame(request, request.number);
  } else {
    if (request.kind === "picture") await search(request, request.number);
    if (still) await draw(still, request.filter, request.number, true);
  }
}

function detectorOf({ smallest, rotations }: SearchPolicy): CenterFace {
  return new CenterFace(networks.detector, smallest, rotations, networks.second);
}

/** Find the faces of a picture. The first ones are told at once where bare faces may be seen. */
async function search(request: PictureRequest, number: number): Promise<void> {
  still = tracker = null;
  const picture = pixelsOf(request.image), spec = specOf(request.filter);
  const told: Promise<void>[] = [];
  const early = (found: Found) => void told.push(draw({ picture, ...found }, request.filter, number, false));
  // The faces are kept for all filters, so they are looked for as in pictures without one.
  const detector = detectorOf(searchPolicy(null, false));
  const found = await findFaces(picture, predictor, detector, spec && protects(spec) ? undefined : early);
  await Promise.all(told);
  still = { picture, ...found };
}

/** Reply with a copy of a picture that has the filter drawn on it. */
async function draw({ picture, faces, ignored }: Still, name: string, number: number, complete: boolean): Promise<void> {
  const { width, height } = picture, shown = { width, height, data: picture.data.slice() };
  await paint(shown, faces, ignored, name, 0, false);
  send(shown, { number, complete, timestamp: 0, filter: name, faces, ignored });
}

async function frame({ image, timestamp, filter: name }: FrameRequest, number: number): Promise<void> {
  const picture = pixelsOf(image), policy = searchPolicy(specOf(name), true), detector = detectorOf(policy);
  still = null;
  tracker ??= new Tracker(predictor, detector);
  Object.assign(tracker, { detector, detectEvery: policy.detectEvery });
  const faces = await tracker.update(picture, timestamp), { ignored } = tracker;
  await paint(picture, faces, ignored, name, timestamp, true);
  send(picture, { number, complete: true, timestamp, filter: name, faces, ignored });
}

/** Draw a filter; where no points were found it can only hide. */
async function paint(
  picture: Picture,
  faces: Face[],
  ignored: Box[],
  name: string,
  timestamp: number,
  moving: boolean,
): Promise<void> {
  const boxes = [...faces.filter((face) => !hasPose(face)).map(({ box }) => box), ...ignored];
  (await filterOf(name))?.apply(picture, faces.filter(hasPose), timestamp, moving, boxes);
}

function send({ width, height, data }: Picture, rest: Omit<Extract<Reply, { kind: "frame" }>, "kind" | "width" | "height" | "pixels">): void {
  const pixels = data.buffer as ArrayBuffer;
  reply({ kind: "frame", width, height, pixels, ...rest }, [pixels]);
}

const specOf = (name: string) => FILTERS.find((spec) => spec.name === name) ?? null;

/** The filter of that name, the one in use where it is of that name; null: none. */
async function filterOf(name: string): Promise<Filter | null> {
  const spec = specOf(name);
  if (filter?.spec !== spec) filter = spec && new Filter(spec, await art);
  return filter;
}

function pixelsOf(image: ImageBitmap): Picture {
  const { width, height } = image;
  if (canvas.width !== width || canvas.height !== height) {
    canvas.width = width;
    canvas.height = height;
  }
  context.globalCompositeOperation = "copy";
  context.drawImage(image, 0, 0);
  image.close();
  return context.getImageData(0, 0, width, height);
}

/** All art, once: the page then works without a network. */
async function loadArt(base: string): Promise<Art> {
  const names = new Set(FILTERS.flatMap(({ layers }) => layers.flatMap((layer) => (layer.kind === "sticker" ? [layer.art] : []))));
  const loaded: Art = new Map();
  await Promise.all(
    Array.from(names, async (name) => {
      const bitmap = await createImageBitmap(new Blob([await download(base, name)]), { premultiplyAlpha: "none" });
      const own = new OffscreenCanvas(bitmap.width, bitmap.height).getContext("2d")!;
      own.drawImage(bitmap, 0, 0);
      loaded.set(name, pyramid(own.getImageData(0, 0, bitmap.width, bitmap.height)));
    }),
  );
  return loaded;
}

function reply(message: Reply, transfer: Transferable[] = []): void {
  scope.postMessage(message, transfer);
}
