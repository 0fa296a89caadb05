/** Tasks that call tasks. Every call gets a sandbox of its own, and what goes wrong in one stays there. */
import { context, TaskError, task } from "@capsule-run/sdk";

interface Order {
  id: number;
  items: [name: string, count: number][];
}

const ORDERS: Order[] = [
  { id: 1, items: [["pen", 3], ["paper", 2]] },
  { id: 2, items: [["ink", 1]] },
  { id: 3, items: [["unicorn", 1]] },
];
const PRICES = new Map([["pen", 120], ["paper", 450], ["ink", 900]]);

/** What some of one item cost, in cents. Throws a RangeError for what isn't sold. */
const price = task({ name: "price", compute: "LOW", ram: "64MB", maxRetries: 0 }, (item: string, count: number) => {
  const cents = PRICES.get(item);
  if (cents === undefined) throw new RangeError(`no ${item} for sale`);
  return cents * count;
});

/** Calls a task for each item; a failure in one of them comes through to whoever called this. */
const total = task({ name: "total", compute: "LOW", ram: "64MB", maxRetries: 0 }, (order: Order) => {
  return order.items.reduce((sum, [item, count]) => sum + price(item, count), 0);
});

/** Fails once, as a service would that is starting up; Capsule tries again. */
const deliver = task({ name: "deliver", compute: "LOW", ram: "64MB", maxRetries: 2 }, (orderId: number, cents: number) => {
  const { attempt } = context();
  if (attempt === 1) throw new Error("no answer");
  return `order ${orderId}: ${(cents / 100).toFixed(2)} delivered at attempt ${attempt}`;
});

export const main = task({ name: "main", compute: "LOW", ram: "64MB" }, () => {
  const lines: string[] = [];
  for (const order of ORDERS) {
    try {
      lines.push(deliver(order.id, total(order)));
    } catch (error) {
      if (!(error instanceof TaskError)) throw error;
      lines.push(`order ${order.id}: refused (${error.type} in ${error.taskName}: ${error.message})`);
    }
  }
  return lines;
});
