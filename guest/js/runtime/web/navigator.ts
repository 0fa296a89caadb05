/** Owns navigator: what the platform says of itself. */

const ours = Symbol("made by the platform");

/** There is one instance. */
export class Navigator {
  constructor(key?: unknown) {
    if (key !== ours) throw new TypeError("Illegal constructor");
  }

  get userAgent(): "capsule" {
    return "capsule";
  }
  /** A sandbox runs on one thread. */
  get hardwareConcurrency(): 1 {
    return 1;
  }
  get language(): "en-US" {
    return "en-US";
  }
  get languages(): readonly ["en-US"] {
    return ["en-US"];
  }
  get onLine(): true {
    return true;
  }
}

export const navigator = new Navigator(ours);
