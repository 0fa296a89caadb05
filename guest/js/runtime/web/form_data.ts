/** Owns FormData. How it travels is in multipart.ts. */
import { Blob, File, fileOf } from "./blob.js";
import { custom, inspect, type InspectOptions } from "./inspect.js";
import { makeIterable, needs, type PairIterable } from "./pairs.js";

/** A value of a form. */
export type FormDataEntryValue = string | File;

let pairsOf: (form: FormData) => [string, FormDataEntryValue][];

/** The fields of a form, several of a name if need be. */
export class FormData {
  #pairs: [string, FormDataEntryValue][] = [];

  static {
    pairsOf = (form) => form.#pairs;
  }

  /** @throws TypeError for any argument: there are no forms in a page here */
  constructor(form: undefined = undefined) {
    if (form !== undefined) throw new TypeError("FormData: parameter 1 is not of type 'HTMLFormElement'");
  }

  /** Adds a field; `filename` is for blobs. */
  append(name: string, value: string | Blob, filename?: string): void {
    needs(arguments.length, 2, "FormData.append");
    this.#pairs.push(entryOf(name, value, filename, arguments.length > 2, "append"));
  }
  delete(name: string): void {
    needs(arguments.length, 1, "FormData.delete");
    const wanted = String(name).toWellFormed();
    this.#pairs = this.#pairs.filter(([key]) => key !== wanted);
  }
  /** The first value of a name, or null. */
  get(name: string): FormDataEntryValue | null {
    needs(arguments.length, 1, "FormData.get");
    const wanted = String(name).toWellFormed();
    return this.#pairs.find(([key]) => key === wanted)?.[1] ?? null;
  }
  getAll(name: string): FormDataEntryValue[] {
    needs(arguments.length, 1, "FormData.getAll");
    const wanted = String(name).toWellFormed();
    return this.#pairs.filter(([key]) => key === wanted).map(([, value]) => value);
  }
  has(name: string): boolean {
    needs(arguments.length, 1, "FormData.has");
    const wanted = String(name).toWellFormed();
    return this.#pairs.some(([key]) => key === wanted);
  }
  /** Replaces all fields of a name by one. */
  set(name: string, value: string | Blob, filename?: string): void {
    needs(arguments.length, 2, "FormData.set");
    const entry = entryOf(name, value, filename, arguments.length > 2, "set");
    const at = this.#pairs.findIndex(([key]) => key === entry[0]);
    if (at < 0) {
      this.#pairs.push(entry);
      return;
    }
    this.#pairs = this.#pairs.filter(([key], i) => i <= at || key !== entry[0]);
    this.#pairs[at] = entry;
  }
}

export interface FormData extends PairIterable<FormDataEntryValue> {}
makeIterable(FormData.prototype, "FormData", (form) => pairsOf(form));

function entryOf(
  name: unknown,
  value: unknown,
  filename: unknown,
  named: boolean,
  method: string,
): [string, FormDataEntryValue] {
  const key = String(name).toWellFormed();
  if (value instanceof Blob) {
    if (named && filename !== undefined) return [key, fileOf(value, String(filename), lastModifiedOf(value))];
    return [key, value instanceof File ? value : fileOf(value, "blob")];
  }
  if (named) throw new TypeError(`FormData.${method}: parameter 2 is not of type 'Blob'`);
  return [key, String(value).toWellFormed()];
}

function lastModifiedOf(blob: Blob): number | undefined {
  return blob instanceof File ? blob.lastModified : undefined;
}

Object.defineProperty(FormData.prototype, custom, {
  value(this: FormData, depth: number | null, options: InspectOptions): string {
    const shown: Record<string, unknown> = {};
    for (const [name, value] of pairsOf(this)) {
      const before = shown[name];
      if (before === undefined) shown[name] = value;
      else shown[name] = Array.isArray(before) ? [...before, value] : [before, value];
    }
    return `FormData ${inspect(shown, { ...options, depth })}`;
  },
  writable: true,
  configurable: true,
});
