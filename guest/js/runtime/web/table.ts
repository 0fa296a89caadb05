/** Owns the table of console.table, as Node 20 draws it. */
import { inspect, widthOf } from "./inspect.js";

const INDEX = "(index)";
const ITERATION = "(iteration index)";
const KEY = "Key";
const VALUES = "Values";

type Cell = string | undefined;

function cellOf(value: unknown): string {
  const large = value !== null && typeof value === "object" && !Array.isArray(value) && Object.keys(value).length > 2;
  return inspect(value, { maxArrayLength: 3, breakLength: Infinity, depth: large ? -1 : 0 });
}

function rowOf(cells: Cell[], widths: number[]): string {
  const padded = cells.map((cell = "", i) => ` ${cell}${" ".repeat(widths[i]! - widthOf(cell) - 1)}`);
  return `│${padded.join("│")}│\n`;
}

function draw(names: string[], columns: Cell[][]): string {
  const rows = Math.max(0, ...columns.map((column) => column.length));
  const widths = columns.map((column, i) => {
    let most = widthOf(names[i]!);
    for (const cell of column) most = Math.max(most, cell === undefined ? 0 : widthOf(cell));
    return most + 2;
  });
  const rule = widths.map((width) => "─".repeat(width));
  let text = `┌${rule.join("┬")}┐\n${rowOf(names, widths)}├${rule.join("┼")}┤\n`;
  for (let row = 0; row < rows; row++)
    text += rowOf(
      columns.map((column) => column[row]),
      widths,
    );
  return `${text}└${rule.join("┴")}┘`;
}

function counted(n: number): string[] {
  return Array.from({ length: n }, (_, i) => String(i));
}

function tableOfMap(data: Map<unknown, unknown>): string {
  const keys = [...data.keys()].map(cellOf);
  const values = [...data.values()].map(cellOf);
  return draw([ITERATION, KEY, VALUES], [counted(keys.length), keys, values]);
}

function tableOfSet(data: Set<unknown>): string {
  const values = [...data].map(cellOf);
  return draw([ITERATION, VALUES], [counted(values.length), values]);
}

/**
 * A table with a row for each of the elements or properties of `data`.
 *
 * @param data an array, a Map, a Set or any other object
 * @param only the columns to show (all)
 */
export function tableOf(data: object, only?: string[]): string {
  if (data instanceof Map) return tableOfMap(data);
  if (data instanceof Set) return tableOfSet(data);
  const names = Object.keys(data);
  const columns = new Map<string, Cell[]>();
  const values: Cell[] = [];
  names.forEach((name, row) => {
    const item = (data as Record<string, unknown>)[name];
    if (item === null || (typeof item !== "object" && typeof item !== "function")) {
      values[row] = cellOf(item);
      return;
    }
    for (const key of only ?? Object.keys(item)) {
      const column = columns.get(key) ?? [];
      columns.set(key, column);
      column[row] = Object.hasOwn(item, key) ? cellOf((item as Record<string, unknown>)[key]) : "";
    }
  });
  const heads = [INDEX, ...columns.keys()];
  const cells = [names, ...columns.values()];
  return values.length > 0 ? draw([...heads, VALUES], [...cells, values]) : draw(heads, cells);
}
