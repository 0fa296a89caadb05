/** Owns waiting outside of a sandbox, in plain Node: sleeps are this process's own, and there are no signals. */
import type { AbortSignalLike, Until, Waiting } from "./waiting.js";

const TIMER_MAX_MS = 2 ** 31 - 1;

function leftMs({ key, ns }: Until): number {
  const ms = Number(ns) / 1e6;
  return key === "duration_ns" ? ms : Math.max(0, ms - Date.now());
}

function pause(ms: number, signal: AbortSignalLike | undefined): Promise<void> {
  return new Promise((resolve, reject) => {
    const abort = (): void => {
      clearTimeout(timer);
      reject(signal!.reason);
    };
    const timer = setTimeout(() => {
      signal?.removeEventListener("abort", abort);
      resolve();
    }, ms);
    signal?.addEventListener("abort", abort, { once: true });
  });
}

/** What waits in plain Node. */
export const waitingOutside: Waiting = {
  async sleep(until, signal) {
    let left = leftMs(until);
    for (; left > TIMER_MAX_MS; left -= TIMER_MAX_MS) await pause(TIMER_MAX_MS, signal);
    await pause(left, signal);
  },

  async receive({ name }) {
    throw new Error(
      `waitSignal("${name}"): signals reach runs of \`capsule run\` alone, and this is plain Node. Run the program by ` +
        "`capsule run`; in a test put a function that answers in the place of waitSignal, such as by vi.mock or mock.module",
    );
  },
};
