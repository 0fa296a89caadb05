/** Builds dist/: one file of JavaScript by esbuild, the declarations by tsc. `node build.mjs`, or `npm run build`. */
import { execFileSync } from "node:child_process";
import { rmSync } from "node:fs";
import { createRequire } from "node:module";
import path from "node:path";
import { build } from "esbuild";

process.chdir(import.meta.dirname ?? path.dirname(new URL(import.meta.url).pathname));
rmSync("dist", { recursive: true, force: true });
await build({
  entryPoints: ["src/index.ts"],
  outfile: "dist/index.js",
  bundle: true,
  format: "esm",
  platform: "node",
  target: ["es2022", "node20"],
  legalComments: "none",
});
const tsc = path.join(path.dirname(createRequire(import.meta.url).resolve("typescript/package.json")), "bin/tsc");
execFileSync(process.execPath, [tsc, "-p", "tsconfig.build.json"], { stdio: "inherit" });
