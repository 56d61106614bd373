// The page: sources, controls and what is shown. Faces are found in the worker.

import { FILTERS } from "./constants";
import { protects } from "./filters/spec";
import type { FrameReply, Reply, Request } from "./messages";
import { drawAxes, drawPoints } from "./overlay";
import { type NotedFrame, toCsv, toJson } from "./points_file";
import { FrameClock, openCamera, openPicture, openVideo, simdWorks } from "./sources";

type Source = { picture: ImageBitmap } | { video: HTMLVideoElement; live: boolean };

const element = <T extends HTMLElement>(id: string) => document.getElementById(id) as T;
const canvas = element<HTMLCanvasElement>("view");
const context = canvas.getContext("2d")!;
const status = element("status"), speed = element("speed"), stage = element("stage");
const fileInput = element<HTMLInputElement>("file");
const snapshotButton = element<HTMLButtonElement>("snapshot"), recordButton = element<HTMLButtonElement>("record");
const pauseButton = element<HTMLButtonElement>("pause");
const pointsBox = element<HTMLInputElement>("points"), axesBox = element<HTMLInputElement>("axes");
const saveButtons = ["csv", "json"].map((id) => element<HTMLButtonElement>(id));

let worker: Worker | null = null;
let ready: Promise<void> = Promise.reject(new Error("not started"));
ready.catch(() => undefined);
const waiting = new Map<number, (reply: FrameReply | Error) => void>(); // by the number of a request
let requests = 0;
let source: Source | null = null;
let session = 0; // a number for each source: what an older one still answers is dropped
let frames = 0;
let shown: NotedFrame | null = null;
let recorder: MediaRecorder | null = null;
let recorded: NotedFrame[] = [];
const times: number[] = []; // of the latest frames, milliseconds

function say(text: string, alarm = false): void {
  if (status.textContent !== text) status.textContent = text;
  status.classList.toggle("alarm", alarm);
}

function fail(error: unknown): void {
  say(error instanceof Error ? error.message : String(error), true);
}

function start(): void {
  if (!simdWorks()) {
    return fail("This browser has no WebAssembly SIMD, which the page needs. Please use a newer browser.");
  }
  worker = new Worker(new URL("./worker.ts", import.meta.url), { type: "module" });
  // ONNX Runtime takes threads only where the server isolates the page.
  const threads = crossOriginIsolated ? Math.min(Math.max(navigator.hardwareConcurrency, 1), 4) : 1;
  ready = new Promise((resolve, reject) => {
    worker!.onmessage = ({ data }: MessageEvent<Reply>) => {
      if (data.kind === "ready") resolve();
      else if (data.kind === "frame") waiting.get(data.number)?.(data);
      else if (data.number === null) reject(new Error(data.message));
      else waiting.get(data.number)?.(new Error(data.message));
    };
    worker!.onerror = (event) => {
      const error = new Error(event.message || "A part of this page cannot be loaded.");
      reject(error);
      for (const answer of waiting.values()) answer(error);
    };
  });
  send({ kind: "start", base: new URL("./", location.href).href, threads });
  say("Loading the models…");
  ready.then(() => {
    document.documentElement.dataset.threads = String(threads);
    if (status.textContent === "Loading the models…") say("");
  }, fail);
}

function send(request: Request, transfer: Transferable[] = []): void {
  worker?.postMessage(request, transfer);
}

function chosenFilter(): string {
  return document.querySelector<HTMLInputElement>("input[name=filter]:checked")?.value ?? "";
}

/** Send one picture to the worker and show its answer. */
async function process(image: ImageBitmap, timestamp: number, moving: boolean): Promise<void> {
  const own = session, began = performance.now(), number = requests++;
  const reply = await new Promise<FrameReply | Error>((resolve) => {
    waiting.set(number, resolve);
    send({ kind: "frame", number, image, timestamp, moving, filter: chosenFilter() }, [image]);
  });
  waiting.delete(number);
  if (own !== session) return;
  if (reply instanceof Error) throw reply;
  show(reply, moving);
  report(reply, performance.now() - began, moving);
}

function show(reply: FrameReply, moving: boolean): void {
  const { width, height, faces, timestamp } = reply;
  if (canvas.width !== width || canvas.height !== height) {
    canvas.width = width;
    canvas.height = height;
  }
  context.putImageData(new ImageData(new Uint8ClampedArray(reply.pixels), width, height), 0, 0);
  for (const face of faces) {
    if (pointsBox.checked) drawPoints(context, face);
    if (axesBox.checked) drawAxes(context, face);
  }
  shown = { frame: moving ? frames : 0, timestamp: moving ? timestamp : 0, faces };
  document.documentElement.dataset.frames = String(++frames);
  if (recorder) recorded.push(shown);
  canvas.hidden = false;
  element("welcome").hidden = true;
  snapshotButton.disabled = false;
  for (const button of saveButtons) button.disabled = false;
}

function report(reply: FrameReply, latency: number, moving: boolean): void {
  const count = reply.faces.length, left = count - reply.drawn + reply.ignored.length;
  const spec = FILTERS.find(({ name }) => name === chosenFilter());
  let text = count === 0 ? "No face found. A face should be well lit and in full view." : count === 1 ? "1 face" : `${count} faces`;
  const uncovered = spec !== undefined && protects(spec) && left > 0;
  if (uncovered) text += ` – ${left} more seen and NOT covered`;
  say(text, uncovered);
  canvas.setAttribute("aria-label", count === 1 ? "Picture with 1 face" : `Picture with ${count} faces`);
  const now = performance.now();
  times.push(now);
  if (times.length > 30) times.shift();
  const rate = times.length > 1 ? ((times.length - 1) * 1000) / (now - times[0]) : 0;
  speed.textContent = moving ? `${rate.toFixed(0)} frames/s, ${latency.toFixed(0)} ms` : `${latency.toFixed(0)} ms`;
}

/** Free the camera or the file of a video. */
function end(video: HTMLVideoElement): void {
  if (video.srcObject instanceof MediaStream) video.srcObject.getTracks().forEach((track) => track.stop());
  video.pause();
  if (video.src) URL.revokeObjectURL(video.src);
  video.removeAttribute("src");
}

/** Stop what runs, and take the next source. */
function take(next: Source | null): number {
  if (recorder) recorder.stop();
  if (source && "video" in source) {
    end(source.video);
  } else if (source) {
    source.picture.close();
  }
  source = next;
  frames = 0;
  times.length = 0;
  recorded = [];
  speed.textContent = "";
  recordButton.disabled = !next || !("video" in next);
  pauseButton.hidden = !next || !("video" in next) || next.live;
  pauseButton.textContent = "Pause";
  return ++session;
}

async function runPicture(picture: ImageBitmap): Promise<void> {
  take({ picture });
  await redraw();
}

let drawing = false, stale = false;

/** Show the picture again, after a change of the controls. A video shows it by itself. */
async function redraw(): Promise<void> {
  if (!source || !("picture" in source)) return;
  stale = true;
  if (drawing) return;
  drawing = true;
  try {
    await ready;
    while (stale && source && "picture" in source) {
      stale = false;
      times.length = 0;
      await process(await createImageBitmap(source.picture), 0, false);
    }
  } catch (error) {
    fail(error);
  } finally {
    drawing = false;
  }
}

async function runVideo(video: HTMLVideoElement, live: boolean): Promise<void> {
  const own = take({ video, live });
  try {
    await ready;
    send({ kind: "reset" });
    const clock = new FrameClock(video);
    let last = -Infinity;
    while (own === session) {
      const mediaTime = await clock.next(() => own === session);
      if (mediaTime === null || own !== session) return;
      const timestamp = live ? performance.now() / 1000 : mediaTime;
      if (timestamp <= last) send({ kind: "reset" }); // a video file begins again
      last = timestamp;
      await process(await createImageBitmap(video), timestamp, true);
    }
  } catch (error) {
    if (own !== session) return;
    take(null); // the camera is free again
    throw error;
  }
}

async function useCamera(): Promise<void> {
  const own = take(null);
  say("Waiting for the camera…");
  const video = await openCamera(() => {
    if (source && "video" in source && source.video === video) {
      take(null);
      fail("The camera was disconnected.");
    }
  });
  if (own === session) await runVideo(video, true);
  else end(video);
}

async function openFile(file: File): Promise<void> {
  const own = take(null);
  say(`Opening ${file.name}…`);
  if (file.type.startsWith("video/")) {
    const video = await openVideo(file);
    if (own === session) await runVideo(video, false);
    else end(video);
  } else {
    const picture = await openPicture(file);
    if (own === session) await runPicture(picture);
    else picture.close();
  }
}

function save(name: string, blob: Blob): void {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10000);
}

function savePoints(kind: "csv" | "json"): void {
  const noted = recorded.length ? recorded : shown ? [shown] : [];
  const text = kind === "csv" ? toCsv(noted) : toJson(noted);
  save(`keypoints.${kind}`, new Blob([text], { type: kind === "csv" ? "text/csv" : "application/json" }));
}

function toggleRecording(): void {
  if (recorder) return recorder.stop();
  const kinds = ["video/mp4;codecs=avc1.42E01E", "video/webm;codecs=vp9", "video/webm"];
  const mimeType = kinds.find((kind) => MediaRecorder.isTypeSupported(kind));
  if (!mimeType) return fail("This browser cannot record.");
  const parts: Blob[] = [], stream = canvas.captureStream();
  recorded = [];
  recorder = new MediaRecorder(stream, { mimeType, videoBitsPerSecond: 5e6 });
  recorder.ondataavailable = ({ data }) => parts.push(data);
  recorder.onstop = () => {
    recorder = null;
    recordButton.setAttribute("aria-pressed", "false");
    recordButton.textContent = "Record";
    stream.getTracks().forEach((track) => track.stop());
    save(`keypoints.${mimeType.startsWith("video/mp4") ? "mp4" : "webm"}`, new Blob(parts, { type: mimeType }));
  };
  recorder.start(1000);
  recordButton.setAttribute("aria-pressed", "true");
  recordButton.textContent = "Stop";
}

function addFilters(): void {
  const choices = [["", "None"], ...FILTERS.filter(({ layers }) => layers.some(({ kind }) => kind !== "outlines"))
    .map(({ name }) => [name, name[0].toUpperCase() + name.slice(1).replaceAll("_", " ")])];
  for (const [name, title] of choices) {
    const label = document.createElement("label"), input = document.createElement("input");
    label.className = "chip";
    label.title = FILTERS.find((filter) => filter.name === name)?.description ?? "No filter";
    Object.assign(input, { type: "radio", name: "filter", value: name, checked: name === "" });
    input.onchange = () => {
      // Lines over a hidden face would still tell of it.
      const spec = FILTERS.find((filter) => filter.name === name);
      if (name) pointsBox.checked = false;
      if (spec && protects(spec)) axesBox.checked = false;
      void redraw();
    };
    label.append(input, title);
    element("filter-choices").append(label);
  }
}

function listen(): void {
  const attempt = (work: () => Promise<void>) => () => void work().catch((error) => {
    fail(error);
  });
  for (const id of ["camera", "camera-large"]) element(id).onclick = attempt(useCamera);
  for (const id of ["open", "open-large"]) element(id).onclick = () => fileInput.click();
  fileInput.onchange = () => {
    const file = fileInput.files?.[0];
    fileInput.value = "";
    if (file) attempt(() => openFile(file))();
  };
  pointsBox.onchange = axesBox.onchange = () => void redraw();
  snapshotButton.onclick = () => canvas.toBlob((blob) => blob && save("keypoints.png", blob), "image/png");
  recordButton.onclick = toggleRecording;
  element("csv").onclick = () => savePoints("csv");
  element("json").onclick = () => savePoints("json");
  pauseButton.onclick = () => {
    if (!source || !("video" in source)) return;
    const { video } = source;
    pauseButton.textContent = video.paused ? "Pause" : "Play";
    if (video.paused) void video.play();
    else video.pause();
  };
  for (const name of ["dragover", "dragleave", "drop"] as const) {
    document.addEventListener(name, (event) => {
      event.preventDefault();
      stage.classList.toggle("drop", name === "dragover");
      const file = name === "drop" ? event.dataTransfer?.files[0] : undefined;
      if (file) attempt(() => openFile(file))();
    });
  }
}

addFilters();
listen();
start();
