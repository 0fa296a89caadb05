/**
 * Bundles the runtime: node bundle.mjs ENTRY OUTPUT [esbuild option …]. Also exports the plug-in that it does it with.
 *
 * The plug-in changes three packages, and fails the build if they aren't as it expects them:
 * - node-inspect-extracted gets `hooks` for what only the engine knows (web/inspect.ts).
 * - whatwg-url asks @exodus/bytes for the encodings of old pages' queries, which nothing here can choose: left out, 300 kB.
 * - whatwg-url is made faster (whatwg_url.mjs).
 * - tr46's tables are parsed when the first host name that isn't ASCII comes, not while the image is built: thousands of
 *   arrays that the garbage collector would visit in every sandbox.
 */
import { readFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";
import { faster } from "./whatwg_url.mjs";

/* `to`: a function, which is given what is replaced. */
function replaced(text, from, to, path) {
  if (text.split(from).length !== 2) throw new Error(`${path} isn't as bundle.mjs expects it: ${from}`);
  return text.replace(from, to);
}

function withHooks(text, path) {
  const changes = [
    ['["Atomics","JSON"', '["JSON"'], // there are no threads, so no Atomics
    ["getPromiseDetails:()=>[g,void 0]", "getPromiseDetails:p=>hooks.promise(p)"],
    ["getProxyDetails:y.getProxyDetails", "getProxyDetails:(v,both)=>hooks.proxy(v,both)"],
    ["try{n=e.stack}catch{}", "try{n=hooks.stack(e)}catch{}"],
    ['g=p("kPending"),h=p("kRejected");', 'g=hooks.pending=p("kPending"),h=hooks.rejected=p("kRejected");'],
  ];
  for (const [from, to] of changes) text = replaced(text, from, () => to, path);
  return `const hooks = { stack: (error) => error.stack };\n${text}\nmodule.exports.hooks = hooks;\n`;
}

/* Parsed from a string: bytecode that builds the table would be three times as large. */
function asText(json) {
  return `module.exports = JSON.parse(${JSON.stringify(JSON.stringify(JSON.parse(json)))});`;
}

function standIn(name) {
  return fileURLToPath(new URL(`stand_ins/${name}`, import.meta.url));
}

/** The plug-in for esbuild. */
export const runtime = {
  name: "capsule-runtime",
  setup(api) {
    const text = (filter, change) =>
      api.onLoad({ filter }, async ({ path }) => ({
        contents: change(await readFile(path, "utf8"), path),
        loader: "js",
      }));
    const instead = (filter, name) =>
      api.onResolve({ filter }, ({ importer }) =>
        /node_modules.whatwg-url/.test(importer) ? { path: standIn(name) } : undefined,
      );
    text(/node-inspect-extracted.dist.inspect\.js$/, withHooks);
    text(/tr46.lib.mappingTable\.json$/, asText);
    text(/whatwg-url.lib.[a-z-]+\.js$/, (source, path) => faster(source, path, replaced));
    instead(/^tr46$/, "tr46.cjs");
    instead(/^@exodus\/bytes\//, "exodus_bytes.cjs");
  },
};

/** What every bundle of the runtime is built with. */
export const options = {
  bundle: true,
  format: "esm",
  platform: "neutral",
  mainFields: ["module", "main"],
  target: "es2023",
  external: ["capsule:native"],
  legalComments: "none",
  logLevel: "warning",
  plugins: [runtime],
};

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const [entry, outfile, ...flags] = process.argv.slice(2);
  await build({ ...options, entryPoints: [entry], outfile, minify: flags.includes("--minify") });
}
