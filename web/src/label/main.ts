// The label page: the model proposes points, a person corrects and accepts them.

import { drawScene } from "./draw";
import { type Draft, Editor, type Place, type Point } from "./editor";
import { Naming } from "./naming";
import { type ListedPicture, type Markup, Conflict, accept, facesOf, next, overview, pictureOf, propose, roundsSoFar } from "./server";
import { laidOn, middleOf, swappedPairs } from "./symmetry";
import { type Outline, type Target, type View, fitted, showing, toPicture, toWindow, under, zoomed } from "./view";

const REACH = { mouse: 10, pen: 14, touch: 26 } as Record<string, number>; // window pixels
const STEADY = 5; // window pixels: a press that moves less is a click

const element = <T extends HTMLElement>(id: string) => document.getElementById(id) as T;
const stage = element("stage"), status = element("status"), list = element<HTMLSelectElement>("list");
const canvases = [element<HTMLCanvasElement>("picture"), element<HTMLCanvasElement>("points")] as const;
const labels = element<HTMLSelectElement>("labels"), loupe = element<HTMLInputElement>("loupe");
const editor = new Editor();

let markup: Markup, outlines: Outline[], pictures: ListedPicture[] = [], done = 0;
let name: string | null = null, version = "", image: ImageBitmap | null = null;
let view: View = { scale: 1, left: 0, top: 0 };
let pointer: Place | null = null; // in the window; null: outside, or a finger
let box: [Place, Place] | null = null; // of a new face, while it is drawn
let part: number | null = null; // the chosen outline, or part of the face; null: a point, or all
/** What a click on the picture does: nothing, give an eye of a new face, or place the next point. */
let mode: "none" | "eyes" | "points" | "naming" = "none";
let eyes: Place[] = [];
let busy = false;
/** What is not accepted yet of pictures that were left, and the version that it began with. */
const drafts = new Map<string, [Draft, string]>();

const naming = new Naming(editor, () => name ?? "", () => draw(), () => void work(written));

function say(text: string, alarm = false): void {
  status.textContent = text;
  status.classList.toggle("alarm", alarm);
}

/** Do one thing at a time, and say what went wrong. */
async function work(action: () => Promise<void>): Promise<void> {
  if (busy) return;
  busy = true;
  try {
    await action();
  } catch (error) {
    const text = error instanceof Error ? error.message : String(error);
    say(error instanceof Conflict ? `${text}. Open another picture and this one again to see them.` : text, true);
  } finally {
    busy = false;
    draw();
  }
}

async function start(): Promise<void> {
  await look();
  list.replaceChildren(...pictures.map(({ name: own }) => new Option(own, own)));
  pictures.forEach((_, i) => mark(i));
  await goOn(null);
}

/** Ask for the markup and the pictures. */
async function look(): Promise<void> {
  const all = await overview();
  ({ markup, pictures } = all);
  outlines = markup.outlines.map(([points, closed]) => ({ points, closed }));
  done = pictures.filter(({ faces }) => faces).length;
  document.title = `Label ${all.folder}`;
  if (all.naming) mode = "naming";
  tellDone();
}

function mark(number: number): void {
  const { name: own, faces } = pictures[number];
  if (faces) list.options[number].text = `✓ ${own}`;
  else if (faces === 0 && list.options[number].text !== own) list.options[number].text = own;
}

function tellDone(): void {
  element("count").textContent = `${done} of ${pictures.length}`;
  element<HTMLProgressElement>("progress").value = done / pictures.length;
}

/** What the proposals of each model were worth, while that is open. */
async function tellRounds(): Promise<void> {
  if (!element<HTMLDetailsElement>("rounds").open) return;
  const { lines } = await roundsSoFar();
  element("numbers").textContent = lines.length > 1 ? lines.join("\n") : "No face was accepted here yet.";
}

async function goOn(after: string | null): Promise<void> {
  const following = (await next(after)).name;
  if (following === null) {
    await open(name ?? pictures[0].name);
    say("All pictures are done.");
  } else {
    await open(following);
  }
}

async function open(wanted: string): Promise<void> {
  say(`Opening ${wanted}…`);
  const [found, pixels] = await Promise.all([facesOf(wanted), pictureOf(wanted)]);
  image?.close();
  if (name !== null && mode !== "naming" && editor.draft) drafts.set(name, [editor.draft, version]);
  [name, version, image] = [wanted, found.version, pixels];
  editor.load(found.faces, found.labelled);
  const [draft, of] = drafts.get(wanted) ?? [null, ""];
  drafts.delete(wanted);
  list.value = wanted;
  canvases[0].setAttribute("aria-label", wanted);
  view = wholeView();
  [part, eyes, box] = [null, [], null];
  say("");
  if (mode === "naming") naming.begin();
  else {
    mode = "none";
    if (draft && of === version) {
      editor.resume(draft);
      say("These changes are not accepted yet.");
    } else if (!found.faces.length) say(markup.mean ? "No face found: drag over one, or press a and click on both eyes." : "Press a to place the points of a face.");
  }
  document.documentElement.dataset.picture = wanted;
}

async function acceptFaces(): Promise<void> {
  if (name === null || mode === "naming") return;
  const own = name, sent = editor.toSend(), number = pictures.findIndex((picture) => picture.name === own);
  version = (await accept(own, version, sent)).version;
  editor.settle();
  if (!markup.mean) await look(); // it may be that of these faces now
  done += Number(sent.length > 0) - Number(pictures[number].faces > 0);
  pictures[number].faces = sent.length;
  mark(number);
  tellDone();
  document.documentElement.dataset.accepted = own;
  await goOn(own);
}

async function step(by: number): Promise<void> {
  const number = pictures.findIndex((picture) => picture.name === name) + by;
  if (pictures[number]) await open(pictures[number].name);
}

/** The markup is written: the face that it was made on is in hand, and is the first to accept. */
async function written(): Promise<void> {
  await naming.write();
  const face = editor.current, own = name;
  mode = "none";
  await look();
  await open(own!);
  editor.replaceAll(face ? [{ points: [...face.points], covered: [] }] : []);
  say("markup.toml is written. Space accepts this face, and the next picture follows.");
}

// New faces.

async function addFace([from, to]: [Place, Place]): Promise<void> {
  const [left, top] = [Math.min(from[0], to[0]), Math.min(from[1], to[1])];
  const [width, height] = [Math.abs(from[0] - to[0]), Math.abs(from[1] - to[1])];
  if (name === null || Math.max(width, height) * view.scale < 12) return;
  say("Looking for the points…");
  editor.add(await propose(name, [left, top, Math.max(width, 1), Math.max(height, 1)]));
  say("");
}

/** Ask for the eyes of a new face, or for its points where there is no mean face. */
function beginFace(): void {
  if (mode === "naming") return;
  part = null;
  if (markup.anchors) {
    [mode, eyes] = ["eyes", []];
    say(`Click on the ${markup.anchors[0].name} (the person's).`);
  } else {
    mode = "points";
    editor.add({ points: markup.names.map((): Point => null), covered: [] });
    editor.choose(editor.face, 0);
    askPoint();
  }
}

function askPoint(): void {
  if (editor.point !== null) say(`Click on ${markup.names[editor.point]}; x where it is not to be seen, Escape ends.`);
}

function clickEye(at: Place): void {
  eyes.push(at);
  const [one, other] = markup.anchors!;
  if (eyes.length === 1) return say(`Click on the ${other.name} (the person's).`);
  const from: [Place, Place] = [middleOf(markup.mean!, one.points), middleOf(markup.mean!, other.points)];
  editor.add({ points: laidOn(markup.mean!, from, eyes as [Place, Place]), covered: [] });
  [mode, eyes] = ["none", []];
  say("");
}

/** What a click is without a pointer: a face or a point in the middle of the window, to be moved by keys. */
function put(): void {
  const [x, y] = middleOfWindow();
  if (mode === "eyes") {
    const away = stage.clientHeight / view.scale / 10;
    eyes = [];
    clickEye([x - away, y - away]);
    clickEye([x + away, y - away]);
    say("Arrows move the face, [ and ] change its size, ( and ) turn it.");
  } else if (mode === "points") editor.place([x, y]);
  else if (mode === "naming") naming.place([x, y]);
  stage.focus();
}

/** The next point to place, after one was placed or is not to be seen. */
function following(): void {
  const last = editor.point === editor.current!.points.length - 1;
  if (last) endPlacing();
  else {
    editor.stepPoint(1);
    askPoint();
  }
}

function endPlacing(): void {
  if (mode === "eyes" || mode === "points") {
    mode = "none";
    say("");
  }
  eyes = [];
}

function click(at: Place): void {
  if (mode === "eyes") clickEye(at);
  else if (mode === "points") {
    editor.place(at);
    following();
  } else if (mode === "naming") naming.place(at);
}

/** The faces of the nearest picture before this one in the list that has some. */
async function copyBefore(): Promise<void> {
  const number = pictures.findIndex((picture) => picture.name === name);
  const before = pictures.slice(0, number).findLast(({ faces }) => faces);
  if (!before) return say("No picture before this one in the list has faces.");
  editor.replaceAll((await facesOf(before.name)).faces);
  say(`The faces of ${before.name}.`);
}

// What is shown.

function wholeView(): View {
  const { clientWidth, clientHeight } = stage;
  return image ? fitted(image.width, image.height, clientWidth, clientHeight) : view;
}

/** Points that are moved together: the outlines, or where there are none the parts of the face. */
const groups = (): number[][] => (outlines.length ? outlines.map(({ points }) => points) : Object.values(markup.parts));

/** Points that keys move. */
function chosen(): number[] {
  if (part !== null) return groups()[part];
  return editor.point === null ? (editor.current?.points.map((_, i) => i) ?? []) : [editor.point];
}

function draw(): void {
  if (!image) return drawScene(...canvases, null);
  const { current, faces, face, point } = editor, names = mode === "naming" ? naming.names : markup.names;
  const swapped = current && mode === "none" ? swappedPairs(current.points, markup) : [];
  const value = (id: string) => element<HTMLInputElement>(id).value;
  const target = drag?.target, aims = mode !== "none" && (drag ? target === null : true);
  const held = target && target !== "pan" && target.kind === "point" ? current?.points[target.point] : null;
  drawScene(...canvases, {
    image, view, faces, face, point, outlines: mode === "naming" ? [] : outlines, swapped, box, clicks: eyes,
    part: part === null ? null : groups()[part],
    pairs: mode === "naming" ? naming.pairs : [],
    labels: mode === "naming" || labels.value === "names" ? names : labels.value === "numbers" ? names.map((_, i) => String(i)) : null,
    loupe: loupe.checked && view.scale < 8 ? (held ?? (aims && pointer ? toPicture(view, pointer) : null)) : null,
    filter: `brightness(${value("brightness")}) contrast(${value("contrast")})`,
  });
  tell(swapped, names);
}

/** The state in words, for screen readers and tests. */
function tell(swapped: [number, number][], names: readonly string[]): void {
  const { point, current, faces } = editor, place = point === null ? null : current?.points[point];
  const covered = point !== null && Boolean(current?.covered.has(point));
  const where = place ? `${place[0].toFixed(1)}, ${place[1].toFixed(1)}${covered ? " (covered)" : ""}` : "not to be seen";
  const face = faces.length > 1 ? `Face ${editor.face + 1} of ${faces.length}` : faces.length ? "1 face" : "No face";
  const grouped = part === null ? face : `${face}, the part with ${names[groups()[part][0]]}`;
  update(element("chosen"), point === null ? grouped : `${face}, point ${names[point]}: ${where}`);
  const some = swapped.slice(0, 3).map(([one, other]) => `${names[one]} and ${names[other]}`).join(", ");
  update(element("hint"), swapped.length ? `Left and right look swapped: ${some}${swapped.length > 3 ? ", …" : ""}` : "");
  element("swap").hidden = !swapped.length;
  element("cover").setAttribute("aria-pressed", String(covered));
  element("hide").setAttribute("aria-pressed", String(point !== null && !place));
  for (const id of ["cover", "hide"]) element<HTMLButtonElement>(id).disabled = point === null;
  element<HTMLButtonElement>("undo").disabled = !editor.canUndo;
  element<HTMLButtonElement>("redo").disabled = !editor.canRedo;
  element("named").hidden = mode !== "naming";
  element<HTMLButtonElement>("accept").disabled = mode === "naming";
  Object.assign(document.documentElement.dataset, {
    view: JSON.stringify(view), faces: JSON.stringify(faces.map(({ points }) => points)), mode,
  });
}

/** Screen readers read what changes. */
function update(own: HTMLElement, text: string): void {
  if (own.textContent !== text) own.textContent = text;
}

// What a person does with a mouse, a pen or fingers.

interface Drag {
  target: Target | "pan";
  start: Place;
  from: Place;
  moved: boolean;
}

let drag: Drag | null = null;
const fingers = new Map<number, Place>();

function placeOf(event: PointerEvent | WheelEvent): Place {
  const { left, top } = stage.getBoundingClientRect();
  return [event.clientX - left, event.clientY - top];
}

function press(event: PointerEvent): void {
  if (!image || busy || event.button === 2) return;
  if (event.button === 1) event.preventDefault(); // else the window scrolls
  stage.focus();
  stage.setPointerCapture(event.pointerId);
  const from = placeOf(event);
  fingers.set(event.pointerId, from);
  if (fingers.size > 1) return pinchBegins();
  pointer = from;
  const pan = event.ctrlKey || event.metaKey || event.button === 1;
  const target = pan ? "pan" : mode === "eyes" ? null : under(editor.faces, groupsUnder(), view, from, REACH[event.pointerType] ?? REACH.mouse);
  // While points are placed, only points are dragged: else the next one could not be inside the face.
  const aims = mode !== "none" && target !== "pan" && target?.kind !== "point";
  drag = { target: aims ? null : target, start: from, from, moved: false };
  if (drag.target === null && mode === "none") box = [toPicture(view, from), toPicture(view, from)];
  else if (target && target !== "pan" && !aims) {
    part = null;
    if (mode === "none") editor.choose(target.face, target.kind === "point" ? target.point : null);
  }
  draw();
}

const groupsUnder = (): Outline[] => (mode === "none" ? outlines : []);

/** Two fingers move and zoom the picture; what the first one began is taken back. */
function pinchBegins(): void {
  if (drag?.moved && drag.target && drag.target !== "pan") editor.undo();
  drag = box = pointer = null;
  draw();
}

function pull(event: PointerEvent): void {
  const at = placeOf(event), before = fingers.get(event.pointerId);
  if (before && fingers.size === 2) pinch(event.pointerId, before, at);
  if (before) fingers.set(event.pointerId, at);
  if (fingers.size > 1) return;
  if (event.pointerType !== "touch" || drag) pointer = at;
  if (!drag) {
    if (mode !== "none") draw();
    return;
  }
  const { target, from, start: first } = drag, steady = !drag.moved && distance(first, at) < STEADY;
  if (steady && mode !== "none") return;
  if (!drag.moved && target && target !== "pan" && distance(first, at) > 0) {
    editor.mark();
    drag.moved = true;
  } else if (!steady) drag.moved = true;
  const [dx, dy] = [at[0] - from[0], at[1] - from[1]], moved: Place = [dx / view.scale, dy / view.scale];
  drag.from = at;
  if (target === "pan") view = { ...view, left: view.left + dx, top: view.top + dy };
  else if (target === null) box = box && [box[0], toPicture(view, at)];
  else if (target.kind === "point" && event.altKey) editor.moveSoftly(target.point, moved, outlines);
  else editor.move(target.kind === "point" ? [target.point] : target.points, moved);
  draw();
}

function pinch(finger: number, before: Place, at: Place): void {
  const [, other] = [...fingers].find(([own]) => own !== finger)!;
  const was = middleOf([before, other], [0, 1]), now = middleOf([at, other], [0, 1]);
  const moved = { ...view, left: view.left + now[0] - was[0], top: view.top + now[1] - was[1] };
  view = zoomed(moved, now, distance(at, other) / Math.max(distance(before, other), 1), wholeView().scale / 2);
  draw();
}

function release(event: PointerEvent): void {
  fingers.delete(event.pointerId);
  if (!drag) return;
  const { target, moved } = drag, drawn = box;
  const aimed = mode !== "none" && target !== "pan" && (target === null || !moved);
  drag = box = null;
  if (event.type === "pointercancel") return draw();
  if (aimed) click(toPicture(view, placeOf(event)));
  else if (mode === "naming" && moved) naming.propose();
  if (drawn) void work(() => addFace(drawn));
  if (event.pointerType === "touch") pointer = null;
  draw();
}

const distance = ([x, y]: Place, [u, v]: Place) => Math.hypot(x - u, y - v);

/** Zoom at a place of the window: the chosen point, else the pointer, else the middle, unless it is given. */
function zoom(factor: number, at?: Place): void {
  if (!image) return;
  const place = editor.point === null ? null : editor.current?.points[editor.point];
  const middle: Place = [stage.clientWidth / 2, stage.clientHeight / 2];
  view = zoomed(view, at ?? (place ? toWindow(view, place) : (pointer ?? middle)), factor, wholeView().scale / 2);
  draw();
}

// What a person does with keys and buttons.

/** Choose a point or face, and show it. */
function choose(action: () => void): void {
  action();
  part = null;
  const { current, point } = editor, place = point === null ? null : current?.points[point];
  if (place) view = showing(view, place, stage.clientWidth, stage.clientHeight);
  if (mode === "points") askPoint();
}

function choosePart(by: number): void {
  const count = groups().length;
  if (!count || !editor.current || mode !== "none") return;
  part = part === null ? (by > 0 ? 0 : count - 1) : (part + by + count) % count;
  editor.choose(editor.face, null);
}

function move([dx, dy]: Place, softly: boolean): void {
  if (!editor.current) return;
  editor.mark();
  if (softly && editor.point !== null) editor.moveSoftly(editor.point, [dx, dy], outlines);
  else editor.move(chosen(), [dx, dy]);
  if (mode === "naming") naming.propose();
}

function turn(angle: number, factor: number): void {
  if (!editor.current || (editor.point !== null && part === null)) return;
  editor.mark();
  editor.turn(chosen(), angle, factor);
}

const middleOfWindow = (): Place => toPicture(view, [stage.clientWidth / 2, stage.clientHeight / 2]);

function hide(): void {
  editor.toggleHidden(middleOfWindow());
  if (mode === "points" && editor.point !== null && !editor.current?.points[editor.point]) following();
  if (mode === "naming") naming.propose();
}

function swap(): void {
  const pairs = editor.current ? swappedPairs(editor.current.points, markup) : [];
  if (!pairs.length || mode !== "none") return;
  editor.mark();
  for (const [one, other] of pairs) editor.swap(one, other);
}

function undo(back: boolean): void {
  if (back) editor.undo();
  else editor.redo();
  if (mode === "points" && !editor.current) endPlacing();
  if (mode === "naming") naming.propose();
}

const ARROWS: Record<string, Place> = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

const KEYS: Record<string, () => void> = {
  " ": () => void work(acceptFaces),
  ".": () => choose(() => editor.stepPoint(1)),
  ",": () => choose(() => editor.stepPoint(-1)),
  p: () => choosePart(1),
  P: () => choosePart(-1),
  Escape: () => {
    endPlacing();
    choose(() => editor.choose(editor.face, null));
  },
  Enter: put,
  f: () => choose(() => editor.stepFace(1)),
  a: beginFace,
  c: () => void (mode === "none" && work(copyBefore)),
  o: () => editor.toggleCovered(),
  x: hide,
  w: swap,
  "[": () => turn(0, 1 / 1.02),
  "]": () => turn(0, 1.02),
  "(": () => turn(-Math.PI / 180, 1),
  ")": () => turn(Math.PI / 180, 1),
  n: () => { labels.selectedIndex = (labels.selectedIndex + 1) % labels.options.length; },
  l: () => { loupe.checked = !loupe.checked; },
  Delete: () => {
    if (mode === "naming") return;
    endPlacing();
    editor.remove();
  },
  PageUp: () => void work(() => step(-1)),
  PageDown: () => void work(() => step(1)),
  "0": () => { view = wholeView(); },
  "+": () => zoom(1.5),
  "-": () => zoom(1 / 1.5),
};

function key(event: KeyboardEvent): void {
  const own = event.target instanceof HTMLElement ? event.target.closest("button, select, input, summary") : null;
  if (own || !image || busy) return; // they have keys of their own
  const other = event.getModifierState("AltGraph"); // types characters on many keyboards
  const command = (event.ctrlKey || event.metaKey) && !other, arrow = ARROWS[event.key], letter = event.key.toLowerCase();
  if (command && letter === "z") undo(!event.shiftKey);
  else if (command && letter === "y") undo(false);
  else if (command) return;
  else if (arrow) {
    const size = event.shiftKey ? 0.1 : 1;
    move([arrow[0] * size, arrow[1] * size], event.altKey);
  } else if (KEYS[event.key]) KEYS[event.key]();
  else return;
  event.preventDefault();
  draw();
}

function listen(): void {
  stage.addEventListener("pointerdown", press);
  stage.addEventListener("pointermove", pull);
  for (const end of ["pointerup", "pointercancel"] as const) stage.addEventListener(end, release);
  stage.addEventListener("pointerleave", () => {
    pointer = null;
    draw();
  });
  stage.addEventListener("wheel", (event) => {
    event.preventDefault();
    zoom(Math.exp(-event.deltaY / 400), placeOf(event));
  }, { passive: false });
  stage.addEventListener("contextmenu", (event) => event.preventDefault()); // Ctrl and a click on a Mac
  document.addEventListener("keydown", key);
  addEventListener("beforeunload", (event) => {
    if (editor.draft || drafts.size) event.preventDefault();
  });
  element<HTMLDetailsElement>("rounds").ontoggle = () => void work(tellRounds);
  list.onchange = () => void work(() => open(list.value));
  labels.onchange = loupe.onchange = draw;
  const button = (id: string, action: () => void) => {
    element(id).onclick = () => {
      if (busy) return;
      action();
      draw();
    };
  };
  const keys = {
    accept: " ", copy: "c", previous: ",", following: ".", part: "p", cover: "o", hide: "x", add: "a", face: "f",
    remove: "Delete", closer: "+", farther: "-", all: "0", swap: "w",
  };
  for (const [id, own] of Object.entries(keys)) button(id, KEYS[own]);
  for (const [way, by] of Object.entries(ARROWS)) button(way, () => move(by, false));
  button("skip", () => void work(() => goOn(name)));
  button("undo", () => undo(true));
  button("redo", () => undo(false));
  for (const id of ["brightness", "contrast"]) element(id).oninput = draw;
  let whole = wholeView();
  new ResizeObserver(() => {
    // A zoomed picture stays where it is.
    if (JSON.stringify(view) === JSON.stringify(whole) || !image) view = wholeView();
    whole = wholeView();
    draw();
  }).observe(stage);
}

listen();
void work(start);
