/**
 * Packages from npm in a sandbox: checks orders with zod, groups them with lodash, reads dates with date-fns, and renders a
 * report with marked.
 *
 *     npm install --prefix examples/packages && capsule run examples/packages/main.ts
 */
import { task } from "@capsule-run/sdk";
import { differenceInCalendarDays, format, parseISO } from "date-fns";
import _ from "lodash";
import { marked } from "marked";
import { z } from "zod";
import orders from "./orders.json";

const Line = z.object({ item: z.string(), count: z.int().positive(), cents: z.int() });
const Order = z.object({
  id: z.string().regex(/^A-\d+$/),
  customer: z.string().min(1),
  placed: z.iso.date(),
  lines: z.array(Line).nonempty(),
});
type Order = z.infer<typeof Order>;

/** Splits orders into those that can be worked with, and what is wrong with the others. */
const check = task({ name: "check", compute: "LOW", ram: "64MB" }, (given: unknown[]) => {
  const results = given.map((order) => Order.safeParse(order));
  return {
    good: results.flatMap((r) => (r.success ? [r.data] : [])),
    bad: results.flatMap((r) => (r.success ? [] : r.error.issues.map((issue) => issue.path.join(".")))),
  };
});

/** One customer's orders in Markdown. */
const summary = task({ name: "summary", compute: "LOW", ram: "64MB" }, (customer: string, own: Order[]): string => {
  const rows = _.sortBy(own, "placed").map((order) => {
    const cents = _.sumBy(order.lines, (line) => line.count * line.cents);
    return `| ${order.id} | ${format(parseISO(order.placed), "d MMMM yyyy")} | ${(cents / 100).toFixed(2)} |`;
  });
  const days = differenceInCalendarDays(own.at(-1)!.placed, own[0]!.placed);
  return [`## ${customer}`, "", "| order | placed | total |", "|---|---|--:|", ...rows, "", `*${days} days*`, ""].join("\n");
});

/** Markdown to HTML: other people's text, so in a sandbox of its own. */
const render = task({ name: "render", compute: "LOW", ram: "64MB" }, (markdown: string) => marked.parse(markdown));

export const main = task({ name: "main" }, async () => {
  const { good, bad } = check(orders);
  const byCustomer = _.groupBy(good, "customer");
  const html = await render(summary.starmap(_.toPairs(byCustomer)).join("\n"));
  return {
    orders: good.length,
    wrong: bad,
    headings: [...html.matchAll(/<h2>(.*?)<\/h2>/g)].map((match) => match[1]),
    totals: [...html.matchAll(/<td align="right">(.*?)<\/td>/g)].map((match) => match[1]),
    days: [...html.matchAll(/<em>(.*?)<\/em>/g)].map((match) => match[1]),
  };
});
