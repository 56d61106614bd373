// Finds faces and draws filters beside the page, so that it never stutters.

import { DETECTOR, FILTERS } from "./constants";
import { CenterFace } from "./detector";
import { type Art, Filter } from "./filters/engine";
import { pyramid } from "./filters/warp";
import type { Picture } from "./geometry";
import type { FrameRequest, Reply, Request } from "./messages";
import { download, firstLine, loadNetworks } from "./networks";
import { CropPredictor } from "./predictor";
import { Tracker, findFaces } from "./tracking";

interface Finders {
  predictor: CropPredictor;
  still: CenterFace;
  moving: CenterFace;
}

const scope = self as unknown as DedicatedWorkerGlobalScope;
const canvas = new OffscreenCanvas(1, 1);
const context = canvas.getContext("2d", { willReadFrequently: true })!;
let finders: Finders;
let tracker: Tracker;
let filter: Filter | null = null;
let art: Promise<Art>;

let queue: Promise<void> = Promise.resolve();
scope.onmessage = ({ data }: MessageEvent<Request>) => {
  queue = queue.then(() =>
    answer(data).catch((error) => {
      reply({ kind: "error", number: data.kind === "frame" ? data.number : null, message: firstLine(error) });
    }),
  );
};

async function answer(request: Request): Promise<void> {
  if (request.kind === "start") {
    const networks = await loadNetworks(request.base, request.threads);
    finders = {
      predictor: new CropPredictor(networks.landmarks),
      still: new CenterFace(networks.detector, DETECTOR.still, true),
      moving: new CenterFace(networks.detector, DETECTOR.moving, false),
    };
    forget();
    art = loadArt(request.base);
    art.catch(() => undefined); // told where a filter needs it
    reply({ kind: "ready", threads: request.threads });
  } else if (request.kind === "reset") {
    forget();
  } else {
    await frame(request);
  }
}

function forget(): void {
  tracker = new Tracker(finders.predictor, finders.moving);
  filter = null;
}

async function frame(request: FrameRequest): Promise<void> {
  const picture = pixelsOf(request.image);
  const { faces, ignored } = request.moving
    ? { faces: await tracker.update(picture, request.timestamp), ignored: tracker.ignored }
    : await findFaces(picture, finders.predictor, finders.still);
  if (filter?.spec.name !== request.filter) {
    const spec = FILTERS.find(({ name }) => name === request.filter);
    filter = spec ? new Filter(spec, await art) : null;
  }
  const drawn = filter?.apply(picture, faces, request.timestamp, request.moving) ?? 0;
  const { width, height } = picture, pixels = picture.data.buffer as ArrayBuffer;
  const { number, timestamp } = request;
  reply({ kind: "frame", number, timestamp, width, height, pixels, faces, drawn, ignored }, [pixels]);
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
