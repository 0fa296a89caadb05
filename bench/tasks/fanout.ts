// Many trivial tasks at once.
import { task } from "@capsule-run/sdk";

const echo = task({ name: "echo" }, (value: number) => value);

export const main = task({ name: "main", compute: "HIGH" }, (tasks: number) => {
  let sum = 0;
  for (const value of echo.map(Array.from({ length: tasks }, (_, i) => i))) sum += value;
  return sum;
});
