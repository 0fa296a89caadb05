/** Owns where errors go that no caller can be given: they become unhandled rejections, which end the task unless somebody listens. */

/** Reports an error as if it had been thrown where nobody catches. */
export function reportError(error: unknown): void {
  void Promise.reject(error);
}
