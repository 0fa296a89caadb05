/**
 * Reads the texts in data/, one task per file, and writes out/words.md.
 *
 * No task can do more than its part: `count` reads data/ and writes nothing, `report` sees only out/, and `main` lists names.
 */
import { files, task } from "@capsule-run/sdk";

interface Count {
  name: string;
  words: number;
  longest: string;
}

const count = task(
  { name: "count", compute: "LOW", ram: "64MB", allowedFiles: [{ path: "./data", mode: "ro" }] },
  async (name: string): Promise<Count> => {
    const text = await files.readText(`data/${name}`);
    const words = text.match(/\p{L}+/gu) ?? [];
    const longest = words.reduce((a, b) => (b.length > a.length ? b : a), "");
    return { name, words: words.length, longest };
  },
);

const report = task(
  { name: "report", compute: "LOW", ram: "64MB", allowedFiles: ["./out"] },
  async (counts: Count[]): Promise<string> => {
    const rows = counts.map(({ name, words, longest }) => `| ${name} | ${words} | ${longest} |`);
    await files.writeText("out/words.md", ["| text | words | longest |", "|---|---|---|", ...rows, ""].join("\n"));
    return "out/words.md";
  },
);

/** Proves that it can't: the file is there, but not for this task. */
const peek = task({ name: "peek", compute: "LOW", ram: "64MB" }, async () => {
  return (await files.exists("data/ozymandias.txt")) ? "saw it" : "saw nothing";
});

export const main = task({ name: "main", allowedFiles: [{ path: "./data", mode: "ro" }] }, async () => {
  const names = (await files.list("data")).filter((name) => name.endsWith(".txt"));
  const counts = await count.map(names);
  return { files: counts.length, words: counts.reduce((sum, c) => sum + c.words, 0), report: await report(counts), peek: await peek() };
});
