// JSON.parse and JSON.stringify of about a megabyte: the milliseconds of several rounds.
import { task } from "@capsule-run/sdk";

const items = Array.from({ length: 9000 }, (_, id) => ({
  id,
  name: `User ${id}`,
  email: `user.${id}@example.com`,
  tags: ["a", "bc", "def"],
  score: id / 7,
  active: id % 2 === 0,
}));
const text = JSON.stringify(items);

export const main = task({ name: "main", compute: "HIGH" }, (rounds: number) =>
  Array.from({ length: rounds }, () => {
    const start = performance.now();
    const copy = JSON.stringify(JSON.parse(text));
    if (copy.length !== text.length) throw new Error("not the same");
    return (performance.now() - start) * (1e6 / text.length);
  }),
);
