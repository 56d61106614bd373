import { createRequire } from "node:module";
import { copyFileSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { gzipSync } from "node:zlib";
import { type Plugin, defineConfig } from "vite";

const PAGE = join(import.meta.dirname, "../keypoints/web/page");
const RUNTIME = dirname(createRequire(import.meta.url).resolve("onnxruntime-web/wasm"));

/** ONNX Runtime's WebAssembly beside the page, and each large text or program also as FILE.gz. */
function complete(): Plugin {
  return {
    name: "complete",
    apply: "build",
    closeBundle() {
      mkdirSync(join(PAGE, "runtime"), { recursive: true });
      for (const kind of ["mjs", "wasm"]) {
        const name = `ort-wasm-simd-threaded.${kind}`;
        copyFileSync(join(RUNTIME, name), join(PAGE, "runtime", name));
      }
      copyFileSync(join(import.meta.dirname, "licences.txt"), join(PAGE, "licences.txt"));
      for (const name of readdirSync(PAGE, { recursive: true, encoding: "utf8" })) {
        if (!/\.(html|js|mjs|css|wasm|txt)$/.test(name) || statSync(join(PAGE, name)).size < 2000) continue;
        writeFileSync(join(PAGE, `${name}.gz`), gzipSync(readFileSync(join(PAGE, name)), { level: 9 }));
      }
    },
  };
}

/** One wrong change of a file, for `tests/mutants.mjs`. */
function mutant(change: { file: string; start: number; end: number; to: string }): Plugin {
  return {
    name: "mutant",
    enforce: "pre",
    transform(code, id) {
      if (!id.endsWith(`/src/${change.file}.ts`)) return null;
      return code.slice(0, change.start) + change.to + code.slice(change.end);
    },
  };
}

export default defineConfig({
  base: "./",
  publicDir: "generated/public",
  build: {
    outDir: PAGE, emptyOutDir: true, target: "es2022", assetsInlineLimit: 0, modulePreload: { polyfill: false },
    rollupOptions: { input: ["index.html", "label.html"].map((name) => join(import.meta.dirname, name)) },
  },
  worker: { format: "es" },
  resolve: { conditions: ["onnxruntime-web-use-extern-wasm"] },
  plugins: [complete(), ...(process.env.MUTANT ? [mutant(JSON.parse(process.env.MUTANT))] : [])],
  test: { include: ["tests/**/*.test.ts"], testTimeout: 60000, hookTimeout: 60000, fileParallelism: false },
} as Parameters<typeof defineConfig>[0]);
