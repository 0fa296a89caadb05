// cpu.mjs as a task.
import { task } from "@capsule-run/sdk";
import { measure } from "./cpu.mjs";

export const main = task({ name: "main", compute: "HIGH" }, (rounds: number) => {
  for (let i = 1; i < rounds; i++) measure();
  return measure().all;
});
