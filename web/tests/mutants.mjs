// Wrong changes to the page's code, of which a test should notice each: `python -m tests.web.mutants`.
//
// VECTORS is the folder that `python -m tests.web.vectors FOLDER` wrote. `--count=100` mutants are
// drawn by `--seed=1` from all changes of one operator, number, function or call; `--file=NAME`
// takes those of one file, `--all` every one of them. Exit code 1: fewer than 95 % are noticed.

import { spawn } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import ts from "typescript";

const WEB = join(import.meta.dirname, "..");
// Files, and the tests that look at each.
const FILES = {
  geometry: "geometry detector filters", rotation: "geometry tracking filters", pose: "geometry", upright: "geometry",
  estimate: "geometry", expression: "geometry", points_file: "geometry", smoothing: "tracking", tracking: "tracking", settling: "tracking",
  cuts: "tracking", policy: "tracking", predictor: "geometry", detector: "detector", "filters/effects": "filters",
  "filters/engine": "filters", "filters/head": "filters", "filters/warp": "filters", "filters/ball": "filters",
};
const LEAST = 0.95; // share that is noticed
const PATIENCE = 10; // times that the tests of a mutant may take longer than without: an endless loop is noticed too

// What no test can notice, by place and change, with the reason.
const REASONS = JSON.parse(readFileSync(join(import.meta.dirname, "mutants.json"), "utf8"));

const OPERATORS = new Map([
  ["+", "-"], ["-", "+"], ["*", "/"], ["/", "*"], ["<", ">="], ["<=", ">"], [">", "<="], [">=", "<"],
  ["===", "!=="], ["!==", "==="], ["&&", "||"], ["||", "&&"], ["+=", "-="], ["-=", "+="],
]);
const FUNCTIONS = new Map([
  ["Math.min", "Math.max"], ["Math.max", "Math.min"], ["Math.floor", "Math.ceil"], ["Math.ceil", "Math.floor"],
  ["Math.round", "Math.floor"], ["Math.trunc", "Math.ceil"], ["Math.cos", "Math.sin"], ["Math.sin", "Math.cos"],
]);

/** All wrong changes of a file: what replaces the characters from `start` to `end`. */
function changes(file) {
  const text = readFileSync(join(WEB, "src", `${file}.ts`), "utf8");
  const source = ts.createSourceFile(file, text, ts.ScriptTarget.ES2022, true), found = [];
  const change = (node, to) => {
    const start = node.getStart(source), { line } = source.getLineAndCharacterOfPosition(start);
    const place = `${file}.ts: ${text.split("\n")[line].trim()}`;
    found.push({ file, start, end: node.getEnd(), to, name: `${place}  [${node.getText(source)} -> ${to || "nothing"}]` });
  };
  const visit = (node) => {
    if (ts.isTypeNode(node) || ts.isImportDeclaration(node) || ts.isStringLiteralLike(node) || ts.isTemplateExpression(node)) return;
    if (ts.isBinaryExpression(node)) {
      const to = OPERATORS.get(node.operatorToken.getText(source));
      if (to && !ts.isStringLiteralLike(node.right)) change(node.operatorToken, to);
    } else if (ts.isNumericLiteral(node)) {
      change(node, String(Number(node.text) + 1));
    } else if (ts.isPropertyAccessExpression(node) && FUNCTIONS.has(node.getText(source))) {
      change(node, FUNCTIONS.get(node.getText(source)));
    } else if (ts.isPrefixUnaryExpression(node) && "-!".includes(node.getText(source)[0])) {
      change(node, node.operand.getText(source));
    } else if (ts.isConditionalExpression(node)) {
      change(node, `(${node.condition.getText(source)}) ? ${node.whenFalse.getText(source)} : ${node.whenTrue.getText(source)}`);
    } else if (ts.isExpressionStatement(node)) {
      change(node, ";");
    } else if (ts.isContinueStatement(node)) {
      change(node, ";");
    }
    ts.forEachChild(node, visit);
  };
  visit(source);
  return found;
}

/** `count` of a list, by a seed. */
function draw(list, count, seed) {
  let state = seed;
  const random = () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
  const left = [...list], drawn = [];
  while (left.length && drawn.length < count) drawn.push(...left.splice(Math.floor(random() * left.length), 1));
  return drawn;
}

/** Whether some tests fail with a change, or do not end; null: without one. */
function noticed(change, tests, seconds) {
  return new Promise((resolve) => {
    const { file = "", start = 0, end = 0, to = "" } = change ?? {};
    const vitest = join(WEB, "node_modules/vitest/vitest.mjs"), names = tests.split(" ").map((name) => `tests/${name}.test.ts`);
    const child = spawn(process.execPath, [vitest, "run", "--bail=1", ...names], {
      cwd: WEB, stdio: "ignore", detached: true, // so that its workers end with it
      env: { ...process.env, MUTANT: change ? JSON.stringify({ file, start, end, to }) : "" },
    });
    const stop = () => { try { process.kill(-child.pid, "SIGKILL"); } catch { /* it ended by itself */ } };
    const timer = setTimeout(stop, seconds * 1000);
    child.on("exit", (code) => {
      clearTimeout(timer);
      stop();
      resolve(code !== 0);
    });
  });
}

const options = Object.fromEntries(process.argv.slice(2).map((word) => word.replace(/^--/, "").split("=")));
if (!process.env.VECTORS) throw new Error("VECTORS: the folder that `python -m tests.web.vectors FOLDER` wrote is expected");
const began = Date.now();
if (await noticed(null, "geometry detector tracking filters", 3600)) throw new Error("the tests fail without any change");
const limit = 30 + (PATIENCE * (Date.now() - began)) / 1000;
const all = Object.keys(FILES).filter((file) => !options.file || options.file === file).flatMap(changes);
const mutants = "all" in options ? all : draw(all, Number(options.count ?? 100), Number(options.seed ?? 1));
const survivors = [];
for (const [i, mutant] of mutants.entries()) {
  const found = await noticed(mutant, FILES[mutant.file], limit);
  if (!found) survivors.push(mutant.name);
  console.error(`${i + 1} of ${mutants.length}: ${found ? "noticed" : "SURVIVES"}  ${mutant.name}`);
}
for (const name of survivors) console.log(`survives: ${name}\n  ${REASONS[name] ?? "no reason is known"}`);
const share = 1 - survivors.length / mutants.length;
console.log(`${mutants.length - survivors.length} of ${mutants.length} mutants are noticed (${(100 * share).toFixed(1)} %), of ${all.length} possible ones`);
process.exit(share < LEAST ? 1 : 0);
