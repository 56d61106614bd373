// A new markup: points are named while they are placed on one face, and pairs are confirmed.

import type { Editor, Place } from "./editor";
import { pairsOf, writeMarkup } from "./server";

const element = <T extends HTMLElement>(id: string) => document.getElementById(id) as T;

export class Naming {
  /** By the number of the point; one more is that of the next point. */
  names: string[] = [];
  /** Pairs that were chosen by hand, by point; null: none. Others are proposed. */
  private own = new Map<number, number | null>();
  private proposed: [number, number][] = [];
  private asked = 0;

  constructor(private editor: Editor, private picture: () => string, private changed: () => void, finish: () => void) {
    const next = element<HTMLInputElement>("next-name");
    next.oninput = () => { this.names[this.count] = next.value; };
    next.onkeydown = (event) => {
      if (event.key === "Enter") element("stage").focus();
    };
    element("write-markup").onclick = finish;
  }

  private get count(): number {
    return this.editor.current?.points.length ?? 0;
  }

  begin(): void {
    this.editor.load([{ points: [], covered: [] }], false);
    [this.names, this.own, this.proposed] = [[], new Map(), []];
    this.tell();
  }

  /** Place the next point, which gets the name in the field. */
  place(at: Place): void {
    this.names[this.count] = element<HTMLInputElement>("next-name").value.trim();
    this.editor.append(at);
    this.propose();
    const next = element<HTMLInputElement>("next-name");
    next.focus();
    next.select();
  }

  get pairs(): [number, number][] {
    const { own, count } = this, apart = this.proposed.filter((pair) => !pair.some((i) => own.has(i)));
    const chosen = [...own].filter(([one, other]) => other !== null && one < other && other < count) as [number, number][];
    return [...apart, ...chosen];
  }

  /** Ask for the pairs that names and symmetry tell. */
  propose(): void {
    this.tell();
    const asked = ++this.asked, known = this.known();
    if (known.length < 2) return;
    void pairsOf(known.map((i) => this.names[i]), known.map((i) => this.editor.current!.points[i]!)).then(({ pairs }) => {
      if (asked !== this.asked) return;
      this.proposed = pairs.map(([one, other]) => [known[one], known[other]]);
      this.tell();
      this.changed();
    }).catch(() => undefined); // said when the markup is written
  }

  async write(): Promise<void> {
    const known = this.known(), { pairs } = this;
    const number = (i: number) => known.indexOf(i);
    await writeMarkup(
      this.picture(), known.map((i) => this.names[i]), known.map((i) => this.editor.current!.points[i]!),
      pairs.map(([one, other]): [number, number] => [number(one), number(other)]).filter((pair) => !pair.includes(-1)),
    );
    const kept = known.map((i) => this.editor.current!.points[i]);
    this.editor.replaceAll([{ points: kept, covered: [] }]);
  }

  /** Points that were not removed with x. */
  private known(): number[] {
    return (this.editor.current?.points ?? []).flatMap((point, i) => (point ? [i] : []));
  }

  private tell(): void {
    const { pairs } = this, next = element<HTMLInputElement>("next-name");
    next.value = this.names[this.count] ?? this.suggested();
    const known = this.known();
    const rows = known.map((i) => {
      const row = document.createElement("li"), name = document.createElement("input"), partner = document.createElement("select");
      name.value = this.names[i];
      name.setAttribute("aria-label", `Name of point ${i + 1}`);
      name.onchange = () => {
        this.names[i] = name.value.trim();
        this.propose();
      };
      partner.setAttribute("aria-label", `Mirror partner of ${this.names[i]}`);
      partner.append(new Option("no partner", ""), ...known.filter((other) => other !== i).map((other) => new Option(`↔ ${this.names[other]}`, String(other))));
      const pair = pairs.find((both) => both.includes(i));
      partner.value = pair ? String(pair[0] === i ? pair[1] : pair[0]) : "";
      partner.onchange = () => this.join(i, partner.value ? Number(partner.value) : null);
      row.append(name, partner);
      return row;
    });
    element("named-points").replaceChildren(...rows);
    element<HTMLButtonElement>("write-markup").disabled = known.length < 2;
  }

  /** Make a pair by hand, or take a point out of its own. */
  private join(one: number, other: number | null): void {
    for (const point of [one, other]) {
      const before = point === null ? undefined : this.pairs.find((pair) => pair.includes(point));
      before?.forEach((i) => this.own.set(i, null));
    }
    this.own.set(one, other);
    if (other !== null) this.own.set(other, one);
    this.tell();
    this.changed();
  }

  /** The name of the other side, where the last point has one; else its number. */
  private suggested(): string {
    const last = this.names[this.count - 1] ?? "", turned = last.replace(/left|right/i, (word) => OTHER_SIDE[word] ?? word);
    return turned !== last && !this.names.includes(turned) ? turned : `point ${this.count + 1}`;
  }
}

const OTHER_SIDE: Record<string, string> = { left: "right", right: "left", Left: "Right", Right: "Left", LEFT: "RIGHT", RIGHT: "LEFT" };
