// The label page: the model proposes points, a person corrects and accepts them.

import { Editor, type Place } from "./editor";
import { type ListedPicture, type Markup, Conflict, accept, facesOf, next, overview, pictureOf, propose } from "./server";
import { type Outline, type Target, type View, fitted, lines, toPicture, toWindow, under, zoomed } from "./view";

const REACH = { mouse: 10, pen: 14, touch: 26 } as Record<string, number>; // window pixels

const element = <T extends HTMLElement>(id: string) => document.getElementById(id) as T;
const stage = element("stage"), status = element("status"), list = element<HTMLSelectElement>("list");
const pictureCanvas = element<HTMLCanvasElement>("picture"), pointsCanvas = element<HTMLCanvasElement>("points");
const namesBox = element<HTMLInputElement>("names");
const editor = new Editor();

let markup: Markup, outlines: Outline[], pictures: ListedPicture[] = [];
let name: string | null = null, version = "", image: ImageBitmap | null = null;
let view: View = { scale: 1, left: 0, top: 0 };
let box: [Place, Place] | null = null; // of a new face, while it is drawn
let pointer: Place = [0, 0];
let busy = false;

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
    say(error instanceof Conflict ? `${text}. Choose the picture again to see them.` : text, true);
  } finally {
    busy = false;
    draw();
  }
}

async function start(): Promise<void> {
  const all = await overview();
  ({ markup, pictures } = all);
  outlines = markup.outlines.map(([points, closed]) => ({ points, closed }));
  document.title = `Label ${all.folder}`;
  list.append(...pictures.map(({ name: own }) => new Option(own, own)));
  pictures.forEach((_, i) => tellPicture(i));
  await goOn(null);
}

function tellPicture(number: number): void {
  const { name: own, faces } = pictures[number];
  list.options[number].text = faces ? `✓ ${own}` : own;
  const done = pictures.filter((picture) => picture.faces).length;
  element("count").textContent = `${done} of ${pictures.length}`;
  element<HTMLProgressElement>("progress").value = done / pictures.length;
}

async function goOn(after: string | null): Promise<void> {
  const following = (await next(after)).name;
  if (following === null) {
    if (name === null) await open(pictures[0].name);
    say("All pictures have faces.");
  } else {
    await open(following);
  }
}

async function open(wanted: string): Promise<void> {
  say(`Opening ${wanted}…`);
  const [found, pixels] = await Promise.all([facesOf(wanted), pictureOf(wanted)]);
  image?.close();
  [name, version, image] = [wanted, found.version, pixels];
  editor.load(found.faces, found.labelled);
  list.value = wanted;
  pictureCanvas.setAttribute("aria-label", wanted);
  view = wholeView();
  say(found.faces.length ? "" : "No face found: drag over one.");
  document.documentElement.dataset.picture = wanted;
}

async function acceptFaces(): Promise<void> {
  if (name === null) return;
  const own = name, sent = editor.toSend(), number = pictures.findIndex((picture) => picture.name === own);
  version = (await accept(own, version, sent)).version;
  pictures[number].faces = sent.length;
  tellPicture(number);
  document.documentElement.dataset.accepted = own;
  await goOn(own);
}

async function addFace([from, to]: [Place, Place]): Promise<void> {
  const [left, top] = [Math.min(from[0], to[0]), Math.min(from[1], to[1])];
  const [width, height] = [Math.abs(from[0] - to[0]), Math.abs(from[1] - to[1])];
  if (name === null || Math.max(width, height) * view.scale < 12) return;
  say("Looking for the points…");
  editor.add(await propose(name, [left, top, Math.max(width, 1), Math.max(height, 1)]));
  say("");
}

// What is shown.

function wholeView(): View {
  const { clientWidth, clientHeight } = stage;
  return image ? fitted(image.width, image.height, clientWidth, clientHeight) : view;
}

function draw(): void {
  const density = devicePixelRatio, { clientWidth, clientHeight } = stage;
  const contexts = [pictureCanvas, pointsCanvas].map((canvas) => {
    canvas.width = Math.round(clientWidth * density);
    canvas.height = Math.round(clientHeight * density);
    const context = canvas.getContext("2d")!;
    context.scale(density, density);
    return context;
  });
  if (!image) return;
  contexts[0].imageSmoothingEnabled = view.scale < 4; // near, single pixels are seen
  contexts[0].drawImage(image, view.left, view.top, image.width * view.scale, image.height * view.scale);
  editor.faces.forEach((_, face) => drawFace(contexts[1], face));
  if (box) {
    const [[left, top], [right, bottom]] = box.map((place) => toWindow(view, place));
    contexts[1].strokeStyle = "white";
    contexts[1].strokeRect(left, top, right - left, bottom - top);
  }
  tell();
}

function drawFace(context: CanvasRenderingContext2D, face: number): void {
  const chosen = face === editor.face, { points } = editor.faces[face];
  const seats = points.map((point) => point && toWindow(view, point));
  // Thin where the face is small in the window.
  const known = seats.filter((seat) => seat !== null), across = known.map(([x]) => x);
  const thick = Math.min(Math.max((Math.max(...across) - Math.min(...across)) / 80, 0.5), 2.5);
  context.lineWidth = 0.6 * thick;
  context.strokeStyle = chosen ? "rgb(70 220 90)" : "rgb(70 220 90 / 50%)";
  context.beginPath();
  for (const outline of outlines) {
    for (const [a, b] of lines(outline)) {
      const [from, to] = [seats[a], seats[b]];
      if (!from || !to) continue;
      context.moveTo(...from);
      context.lineTo(...to);
    }
  }
  context.stroke();
  seats.forEach((seat, i) => {
    if (!seat) return;
    const own = chosen && i === editor.point, covered = editor.faces[face].covered.has(i);
    context.beginPath();
    context.arc(seat[0], seat[1], own ? 5 : covered ? 1.5 * thick : thick, 0, 2 * Math.PI);
    context.fillStyle = context.strokeStyle;
    // The chosen point is a ring, so that the pixel below it can be seen; so is a covered one.
    if (own || covered) context.stroke();
    else context.fill();
    if (namesBox.checked) context.fillText(markup.names[i], seat[0] + 5, seat[1] - 5);
  });
}

/** The state in words, for screen readers and tests. */
function tell(): void {
  const { point, current, faces } = editor;
  const place = point === null ? null : current?.points[point];
  const covered = point !== null && current?.covered.has(point) ? " (covered)" : "";
  const where = place ? `${place[0].toFixed(1)}, ${place[1].toFixed(1)}${covered}` : "not to be seen";
  const face = faces.length > 1 ? `Face ${editor.face + 1} of ${faces.length}` : faces.length ? "1 face" : "No face";
  element("chosen").textContent = point === null ? face : `${face}, point ${markup.names[point]}: ${where}`;
  Object.assign(document.documentElement.dataset, {
    view: JSON.stringify(view), faces: JSON.stringify(faces.map(({ points }) => points)),
  });
}

// What a person does.

interface Drag {
  target: Target | "pan";
  from: Place;
  soft: boolean;
}

let drag: Drag | null = null;

function placeOf(event: PointerEvent | WheelEvent): Place {
  const { left, top } = stage.getBoundingClientRect();
  return [event.clientX - left, event.clientY - top];
}

function press(event: PointerEvent): void {
  if (!image || busy) return;
  stage.focus();
  stage.setPointerCapture(event.pointerId);
  const from = placeOf(event), pan = event.ctrlKey || event.button === 1;
  const target = pan ? "pan" : under(editor.faces, outlines, view, from, REACH[event.pointerType] ?? REACH.mouse);
  drag = { target, from, soft: event.altKey };
  if (target === null) box = [toPicture(view, from), toPicture(view, from)];
  else if (target !== "pan") {
    editor.choose(target.face, target.kind === "point" ? target.point : null);
    editor.mark();
  }
  draw();
}

function pull(event: PointerEvent): void {
  pointer = placeOf(event);
  if (!drag) return;
  const { target, from, soft } = drag, [dx, dy] = [pointer[0] - from[0], pointer[1] - from[1]];
  const moved: Place = [dx / view.scale, dy / view.scale];
  drag.from = pointer;
  if (target === "pan") view = { ...view, left: view.left + dx, top: view.top + dy };
  else if (target === null) box = box && [box[0], toPicture(view, pointer)];
  else if (target.kind === "point" && soft) editor.moveSoftly(target.point, moved, outlines);
  else editor.move(target.kind === "point" ? [target.point] : target.points, moved);
  draw();
}

function release(): void {
  const drawn = box;
  drag = box = null;
  if (drawn) void work(() => addFace(drawn));
  draw();
}

function zoom(at: Place, factor: number): void {
  if (!image) return;
  view = zoomed(view, at, factor, wholeView().scale / 2);
  draw();
}

const ARROWS: Record<string, Place> = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

const KEYS: Record<string, () => void> = {
  " ": () => void work(acceptFaces),
  ".": () => editor.stepPoint(1),
  ",": () => editor.stepPoint(-1),
  Escape: () => editor.choose(editor.face, null),
  f: () => editor.stepFace(1),
  o: () => editor.toggleCovered(),
  x: () => editor.toggleHidden(),
  n: () => { namesBox.checked = !namesBox.checked; },
  Delete: () => editor.remove(),
  "0": () => { view = wholeView(); },
  "+": () => zoom(pointer, 1.5),
  "-": () => zoom(pointer, 1 / 1.5),
};

function key(event: KeyboardEvent): void {
  const own = event.target instanceof HTMLElement ? event.target.closest("button, select, input, summary") : null;
  if (own || !image || busy) return; // they have keys of their own
  const command = event.ctrlKey || event.metaKey, arrow = ARROWS[event.key];
  const letter = event.key.toLowerCase();
  if (command && letter === "z" && !event.shiftKey) editor.undo();
  else if (command && (letter === "z" || letter === "y")) editor.redo();
  else if (command) return;
  else if (arrow) {
    const step = event.shiftKey ? 0.1 : 1, all = editor.current?.points.map((_, i) => i) ?? [];
    editor.mark();
    editor.move(editor.point === null ? all : [editor.point], [arrow[0] * step, arrow[1] * step]);
  } else if (KEYS[event.key]) KEYS[event.key]();
  else return;
  event.preventDefault();
  draw();
}

function listen(): void {
  stage.addEventListener("pointerdown", press);
  stage.addEventListener("pointermove", pull);
  for (const end of ["pointerup", "pointercancel"] as const) stage.addEventListener(end, release);
  stage.addEventListener("wheel", (event) => {
    event.preventDefault();
    zoom(placeOf(event), Math.exp(-event.deltaY / 400));
  }, { passive: false });
  document.addEventListener("keydown", key);
  list.onchange = () => void work(() => open(list.value));
  namesBox.onchange = draw;
  const button = (id: string, action: () => void) => {
    element(id).onclick = () => {
      action();
      stage.focus();
      draw();
    };
  };
  button("accept", KEYS[" "]);
  button("skip", () => void work(() => goOn(name)));
  button("undo", () => editor.undo());
  button("redo", () => editor.redo());
  button("cover", KEYS.o);
  button("hide", KEYS.x);
  button("remove", KEYS.Delete);
  for (const id of ["brightness", "contrast"]) {
    element(id).oninput = () => {
      const value = (own: string) => element<HTMLInputElement>(own).value;
      pictureCanvas.style.filter = `brightness(${value("brightness")}) contrast(${value("contrast")})`;
    };
  }
  new ResizeObserver(() => {
    view = wholeView();
    draw();
  }).observe(stage);
}

listen();
void work(start);
