/** Owns performance: the clock, and marks and measures. The clock is the sandbox's own, so {@link refresh} forgets where it began. */
import { begin, now } from "./clock.js";
import { EventTarget } from "./event_target.js";
import { showAs } from "./inspect.js";
import { structuredClone } from "./clone.js";

const ours = Symbol("made by the platform");

let origin: number | undefined;
let timeline: PerformanceEntry[] = [];

/** Time begins, and entries are forgotten: they were another sandbox's, or the image's. */
export function refresh(): void {
  begin();
  origin = undefined;
  if (timeline.length > 0) timeline = [];
}

/** Something that was measured. */
export class PerformanceEntry {
  readonly #name: string;
  readonly #type: "mark" | "measure";
  readonly #start: number;
  readonly #duration: number;
  readonly #detail: unknown;

  constructor(
    key: unknown,
    name?: string,
    type?: "mark" | "measure",
    start?: number,
    duration?: number,
    detail?: unknown,
  ) {
    if (key !== ours) throw new TypeError("Illegal constructor");
    this.#name = name!;
    this.#type = type!;
    this.#start = start!;
    this.#duration = duration!;
    this.#detail = detail;
  }

  get name(): string {
    return this.#name;
  }
  get entryType(): "mark" | "measure" {
    return this.#type;
  }
  /** Milliseconds of performance.now(). */
  get startTime(): number {
    return this.#start;
  }
  /** Milliseconds. */
  get duration(): number {
    return this.#duration;
  }
  get detail(): unknown {
    return this.#detail;
  }
  toJSON(): object {
    const { name, entryType, startTime, duration, detail } = this;
    return { name, entryType, startTime, duration, detail };
  }
}

/** Options of {@link PerformanceMark}. */
export interface PerformanceMarkOptions {
  startTime?: number;
  detail?: unknown;
}

/** A moment. */
export class PerformanceMark extends PerformanceEntry {
  /** @throws TypeError for a negative time */
  constructor(name: string, options?: PerformanceMarkOptions) {
    if (arguments.length === 0) throw new TypeError("PerformanceMark: 1 argument required, but only 0 present");
    const start = options?.startTime === undefined ? now() : Number(options.startTime);
    if (!(start >= 0)) throw new TypeError("PerformanceMark: startTime must not be negative");
    super(ours, String(name), "mark", start, 0, detailOf(options?.detail));
  }
}

/** The time between two moments. */
export class PerformanceMeasure extends PerformanceEntry {}

function detailOf(detail: unknown): unknown {
  return detail === undefined || detail === null ? null : structuredClone(detail);
}

/** Options of measure(). */
export interface PerformanceMeasureOptions {
  start?: string | number;
  end?: string | number;
  duration?: number;
  detail?: unknown;
}

function timeOf(moment: string | number): number {
  if (typeof moment === "number") {
    if (moment < 0) throw new TypeError("Performance.measure: a time must not be negative");
    return moment;
  }
  const mark = timeline.findLast((entry) => entry.entryType === "mark" && entry.name === String(moment));
  if (mark === undefined) throw new DOMException(`The "${moment}" performance mark has not been set`, "SyntaxError");
  return mark.startTime;
}

function spanOf({ start, end, duration }: PerformanceMeasureOptions): [start: number, end: number] {
  if (start !== undefined && end !== undefined && duration !== undefined)
    throw new TypeError("Performance.measure: start, end and duration can't all be given");
  const to =
    end !== undefined
      ? timeOf(end)
      : start !== undefined && duration !== undefined
        ? timeOf(start) + duration
        : now();
  const from = start !== undefined ? timeOf(start) : duration !== undefined ? to - duration : 0;
  return [from, to];
}

function add(entry: PerformanceEntry): void {
  timeline.push(entry);
  timeline.sort((a, b) => a.startTime - b.startTime);
}

function forget(type: string, name: string | undefined): void {
  timeline = timeline.filter(
    (entry) => entry.entryType !== type || (name !== undefined && entry.name !== String(name)),
  );
}

/** The clock of the sandbox. */
export class Performance extends EventTarget {
  constructor(key?: unknown) {
    if (key !== ours) throw new TypeError("Illegal constructor");
    super();
  }

  /** Milliseconds since the sandbox began, with fractions. */
  now(): number {
    return now();
  }
  /** When the sandbox began: milliseconds since 1970. */
  get timeOrigin(): number {
    return (origin ??= Date.now() - now());
  }
  mark(name: string, options?: PerformanceMarkOptions): PerformanceMark {
    const mark = new PerformanceMark(name, options);
    add(mark);
    return mark;
  }
  /** @throws DOMException SyntaxError for a mark that isn't there */
  measure(name: string, start?: string | PerformanceMeasureOptions, end?: string): PerformanceMeasure {
    const given: PerformanceMeasureOptions =
      typeof start === "object" && start !== null
        ? start
        : { ...(start !== undefined && { start }), ...(end !== undefined && { end }) };
    const [from, to] = spanOf(given);
    const measure = new PerformanceMeasure(ours, String(name), "measure", from, to - from, detailOf(given.detail));
    add(measure);
    return measure;
  }
  clearMarks(name?: string): void {
    forget("mark", name);
  }
  clearMeasures(name?: string): void {
    forget("measure", name);
  }
  getEntries(): PerformanceEntry[] {
    return [...timeline];
  }
  getEntriesByName(name: string, type?: string): PerformanceEntry[] {
    return timeline.filter((entry) => entry.name === String(name) && (type === undefined || entry.entryType === type));
  }
  getEntriesByType(type: string): PerformanceEntry[] {
    return timeline.filter((entry) => entry.entryType === type);
  }
  toJSON(): object {
    return { timeOrigin: this.timeOrigin };
  }
}

showAs(PerformanceEntry.prototype, (entry) => entry.toJSON());
showAs(Performance.prototype, (performance) => ({ timeOrigin: performance.timeOrigin }));

export const performance = new Performance(ours);
