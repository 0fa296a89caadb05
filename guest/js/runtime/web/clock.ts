/** Owns the sandbox's clock, which performance.now() and events show. */
import * as native from "capsule:native";

let began = native.monotonicMs();

/** Time begins: until now it was another sandbox's, or the image's. */
export function begin(): void {
  began = native.monotonicMs();
}

/** Milliseconds since this sandbox began. */
export function now(): number {
  return native.monotonicMs() - began;
}
