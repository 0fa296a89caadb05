/** Owns the type of values that can cross between sandboxes (docs/reference/values.md). */

/** A value that a task may take and give. What is typed more closely, such as by an interface, is fine as well. */
export type JsonLike =
  | null
  | undefined
  | boolean
  | number
  | string
  | Date
  | Uint8Array
  | ReadonlySet<JsonLike>
  | ReadonlyMap<JsonLike, JsonLike>
  | readonly JsonLike[]
  | { readonly [key: string]: JsonLike };
