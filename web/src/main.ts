// The page: sources, controls and what is shown. Faces are found in the worker.

import { FILTERS, MODEL, useModel } from "./constants";
import { protects } from "./filters/spec";
import type { FrameReply, ImageRequest, Reply, Request } from "./messages";
import { drawAxes, drawPoints } from "./overlay";
import { type NotedFrame, toCsv, toJson } from "./points_file";
import { Recording } from "./recording";
import { FrameClock, openCamera, openPicture, openVideo, simdWorks } from "./sources";
import { hasPose } from "./tracking";

type Source = "picture" | { video: HTMLVideoElement; live: boolean; clock: FrameClock };

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
let bare = false; // whether faces may be seen in the view
let recording: Recording | null = null;
let recorded: NotedFrame[] = [];
const times: number[] = []; // of the latest frames, milliseconds

function say(text: string, kind: "" | "alarm" | "busy" = ""): void {
  if (status.textContent !== text) status.textContent = text;
  status.classList.toggle("alarm", kind === "alarm");
  status.classList.toggle("busy", kind === "busy");
  stage.setAttribute("aria-busy", String(kind === "busy"));
}

function fail(error: unknown): void {
  say(error instanceof Error ? error.message : String(error), "alarm");
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
      if (data.kind === "ready") {
        useModel(data.model);
        offer();
        resolve();
      } else if (data.kind === "frame") waiting.get(data.number)?.(data);
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
  say("Loading the models…", "busy");
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

/** Whether a filter hides faces. */
function hides(name: string): boolean {
  const spec = FILTERS.find((filter) => filter.name === name);
  return spec !== undefined && protects(spec);
}

/** Have the worker search or draw, and show what it replies. */
async function ask(request: ImageRequest, transfer: Transferable[] = []): Promise<void> {
  const own = session, began = performance.now(), number = requests++, moving = request.kind === "frame";
  const last = await new Promise<FrameReply | Error>((resolve) => {
    waiting.set(number, (reply) => {
      if (reply instanceof Error || reply.complete) resolve(reply);
      else if (own === session) show(reply, performance.now() - began, moving);
    });
    send({ ...request, number }, transfer);
  });
  waiting.delete(number);
  if (own !== session) return;
  if (last instanceof Error) throw last;
  show(last, performance.now() - began, moving);
}

/** Show a reply, unless it is one of bare faces, and a privacy filter was chosen meanwhile. */
function show(reply: FrameReply, latency: number, moving: boolean): void {
  if (hides(chosenFilter()) && !hides(reply.filter)) return;
  const { width, height, faces, timestamp, complete } = reply;
  fit(width, height);
  context.putImageData(new ImageData(new Uint8ClampedArray(reply.pixels), width, height), 0, 0);
  for (const face of faces.filter(hasPose)) {
    if (pointsBox.checked) drawPoints(context, face);
    if (axesBox.checked) drawAxes(context, face);
  }
  reveal(!hides(reply.filter));
  report(reply, latency, moving);
  if (!complete) return;
  shown = { frame: moving ? frames : 0, timestamp: moving ? timestamp : 0, faces };
  document.documentElement.dataset.frames = String(++frames);
  recording?.add(canvas);
  if (recording) recorded.push(shown);
  snapshotButton.disabled = false;
  for (const button of saveButtons) button.disabled = false;
}

function fit(width: number, height: number): void {
  if (canvas.width === width && canvas.height === height) return;
  canvas.width = width;
  canvas.height = height;
}

/** Show the view; `open`: with faces that no filter hides. */
function reveal(open: boolean): void {
  bare = open;
  canvas.hidden = false;
  element("welcome").hidden = true;
}

/** With a privacy filter, show nothing until its picture is there, if faces may be seen now. */
function coverView(): void {
  if (!bare || !hides(chosenFilter())) return;
  bare = false;
  context.clearRect(0, 0, canvas.width, canvas.height);
  canvas.hidden = true;
  canvas.setAttribute("aria-label", "Nothing shown yet");
  recording?.blank();
  snapshotButton.disabled = true;
  if (source) say("Hiding faces…", "busy");
  else say("");
}

function report(reply: FrameReply, latency: number, moving: boolean): void {
  const count = reply.faces.length, unsure = reply.ignored.length;
  let text = count === 0 ? "No face found. A face should be well lit and in full view." : count === 1 ? "1 face" : `${count} faces`;
  if (hides(reply.filter) && unsure) text = `${count === 1 ? "1 face" : `${count} faces`} – ${unsure} more hidden without points`;
  if (reply.complete) say(text);
  else say(`${text} – looking for smaller ones…`, "busy");
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
  stopRecording();
  if (source && source !== "picture") end(source.video);
  source = next;
  frames = 0;
  times.length = 0;
  recorded = [];
  speed.textContent = "";
  recordButton.disabled = !next || next === "picture";
  pauseButton.hidden = !next || next === "picture" || next.live;
  pauseButton.textContent = "Pause";
  return ++session;
}

let pending: ImageBitmap | null = null; // a picture that the worker does not have yet
let drawing = false, stale = false;

async function runPicture(picture: ImageBitmap): Promise<void> {
  take("picture");
  pending?.close();
  pending = picture;
  for (const button of [snapshotButton, ...saveButtons]) button.disabled = true;
  if (!hides(chosenFilter())) {
    fit(picture.width, picture.height);
    context.drawImage(picture, 0, 0);
    reveal(true);
  }
  await redraw();
}

/** Show the picture again, after a change of the controls. A video that runs shows it by itself. */
async function redraw(): Promise<void> {
  if (source && source !== "picture" && source.video.paused) source.clock.again();
  if (source !== "picture") return;
  stale = true;
  if (drawing) return;
  drawing = true;
  try {
    await ready;
    while (stale && source === "picture") {
      stale = false;
      times.length = 0;
      const image = pending, filter = chosenFilter();
      pending = null;
      if (image) {
        say("Looking for faces…", "busy");
        await ask({ kind: "picture", image, filter }, [image]);
      } else {
        await ask({ kind: "draw", filter });
      }
    }
  } catch (error) {
    fail(error);
  } finally {
    drawing = false;
  }
}

async function runVideo(video: HTMLVideoElement, live: boolean): Promise<void> {
  const clock = new FrameClock(video), own = take({ video, live, clock });
  try {
    await ready;
    send({ kind: "reset" });
    while (own === session) {
      const mediaTime = await clock.next(() => own === session);
      if (mediaTime === null || own !== session) return;
      const timestamp = live ? performance.now() / 1000 : mediaTime;
      const image = await createImageBitmap(video);
      await ask({ kind: "frame", image, timestamp, filter: chosenFilter() }, [image]);
    }
  } catch (error) {
    if (own !== session) return;
    take(null); // the camera is free again
    throw error;
  } finally {
    clock.stop();
  }
}

async function useCamera(): Promise<void> {
  const own = take(null);
  say("Waiting for the camera…", "busy");
  const video = await openCamera(() => {
    if (source && source !== "picture" && source.video === video) {
      take(null);
      fail("The camera was disconnected.");
    }
  });
  if (own === session) await runVideo(video, true);
  else end(video);
}

async function openFile(file: File): Promise<void> {
  const own = take(null);
  say(`Opening ${file.name}…`, "busy");
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

function stopRecording(): void {
  recording?.stop();
  recording = null;
  recordButton.setAttribute("aria-pressed", "false");
  recordButton.textContent = "Record";
}

function toggleRecording(): void {
  if (recording) return stopRecording();
  try {
    recording = new Recording(canvas, (file, suffix) => save(`keypoints.${suffix}`, file));
  } catch (error) {
    return fail(error);
  }
  recorded = [];
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
      if (name) pointsBox.checked = false;
      if (hides(name)) axesBox.checked = false;
      coverView();
      void redraw();
    };
    label.append(input, title);
    element("filter-choices").append(label);
  }
}

/** Leave out what cannot be drawn on the points of the page's network. */
function offer(): void {
  for (const input of document.querySelectorAll<HTMLInputElement>("input[name=filter]")) {
    if (input.value && !MODEL.filters.includes(input.value)) input.parentElement!.remove();
  }
  axesBox.parentElement!.hidden = !MODEL.rigid.length;
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
    if (!source || source === "picture") return;
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
