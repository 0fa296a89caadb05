// A chain of nested calls: at its end, all of its sandboxes are alive and parked.
import { task } from "@capsule-run/sdk";

const chain = task({ name: "chain" }, (depth: number): number => {
  if (depth > 0) return chain(depth - 1) + 1;
  console.log("deepest");
  return 0;
});

export const main = task({ name: "main" }, (depth: number) => chain(depth - 1) + 1);
