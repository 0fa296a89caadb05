// A task that returns its argument: what a sandbox costs when its code costs nothing.
import { task } from "@capsule-run/sdk";

export const main = task({ name: "main" }, (value: unknown) => value);
