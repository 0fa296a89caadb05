/**
 * A person decides in the middle of a program, which waits for the answer without a process, for up to three days.
 *
 *     capsule run examples/approval/main.ts --run-id refund-1017      # says what it would do, and is suspended
 *     capsule signal refund-1017 approval '{"ok": true}'              # goes on with the answer
 */
import { SignalTimeout, task, waitSignal } from "@capsule-run/sdk";

interface Action {
  order: number;
  cents: number;
}

interface Answer {
  ok: boolean;
  reason?: string;
}

/** Stands for a model that reads a customer's letter and decides what to do. */
const propose = task({ name: "propose", compute: "LOW", ram: "64MB" }, (order: number): Action => {
  return { order, cents: 12900 };
});

/** Stands for what must not happen twice, or without a person's consent. */
const refund = task(
  { name: "refund", compute: "LOW", ram: "64MB", idempotent: false, maxRetries: 0 },
  ({ order, cents }: Action): string => `order ${order}: ${(cents / 100).toFixed(2)} refunded`,
);

export const main = task({ name: "main", compute: "LOW", ram: "64MB" }, async (order = 1017) => {
  const action = propose(order);
  console.log(`May I refund ${(action.cents / 100).toFixed(2)} for order ${order}?`);
  try {
    const answer = await waitSignal<Answer>("approval", { timeout: "3d" });
    if (!answer.ok) return `order ${order}: not refunded, ${answer.reason ?? "without a reason"}`;
  } catch (error) {
    if (error instanceof SignalTimeout) return `order ${order}: nobody answered`;
    throw error;
  }
  return refund(action);
});
