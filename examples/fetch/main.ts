/**
 * Requests from tasks, in parallel.
 *
 *     capsule run examples/fetch/main.ts https://example.com/ https://example.com/nothing
 *
 * The host makes the requests, and only to the hosts that a task lists: see the end.
 */
import { task } from "@capsule-run/sdk";

interface Page {
  url: string;
  status: number;
  type: string | null;
  bytes: number;
  title: string | null;
}

const look = task(
  { name: "look", compute: "LOW", ram: "64MB", timeout: "30s", allowedHosts: ["example.com", "127.0.0.1:8377"] },
  async (url: string): Promise<Page> => {
    const response = await fetch(url, { signal: AbortSignal.timeout(10_000), headers: { accept: "text/html" } });
    const decoder = new TextDecoder();
    let [bytes, text] = [0, ""];
    for await (const part of response.body ?? []) {
      bytes += part.length;
      text += decoder.decode(part, { stream: true });
    }
    const title = /<title>([^<]*)/i.exec(text)?.[1] ?? null;
    return { url, status: response.status, type: response.headers.get("content-type"), bytes, title };
  },
);

const wander = task({ name: "wander", compute: "LOW", ram: "64MB", maxRetries: 0 }, async () => {
  try {
    return (await fetch("http://127.0.0.1:22/")).status;
  } catch {
    return "this machine: not allowed";
  }
});

export const main = task({ name: "main" }, async (...urls: string[]) => {
  const pages = await look.map(urls.length > 0 ? urls : ["https://example.com/"], { returnErrors: true });
  return [...pages.map((page) => (page instanceof Error ? page.message : page)), await wander()];
});
