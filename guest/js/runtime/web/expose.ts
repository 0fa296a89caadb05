/** Owns how interfaces and functions become globals: named, tagged and enumerable where browsers have them so. */

interface Class {
  readonly prototype: object;
}

/** A property that isn't enumerated but can be replaced, as globals are. */
export function define(target: object, name: PropertyKey, value: unknown): void {
  Object.defineProperty(target, name, { value, writable: true, enumerable: false, configurable: true });
}

function enumerate(holder: object): void {
  for (const name of Object.getOwnPropertyNames(holder)) {
    const descriptor = Object.getOwnPropertyDescriptor(holder, name)!;
    if (name === "constructor" || !descriptor.configurable) continue;
    Object.defineProperty(holder, name, { ...descriptor, enumerable: true });
  }
}

const interfaces = new WeakSet<object>();

/** Whether a value is an instance of one of the platform's interfaces. */
export function isPlatformObject(value: object): boolean {
  for (let one: object | null = Object.getPrototypeOf(value); one !== null; one = Object.getPrototypeOf(one))
    if (interfaces.has(one)) return true;
  return false;
}

/** Makes a class look like an interface: members enumerable, Symbol.toStringTag, its name whatever the bundler made of it. */
export function asInterface(name: string, interfaceClass: Class): void {
  Object.defineProperty(interfaceClass, "name", { value: name, configurable: true });
  interfaces.add(interfaceClass.prototype);
  enumerate(interfaceClass.prototype);
  if (!Object.hasOwn(interfaceClass.prototype, Symbol.toStringTag))
    Object.defineProperty(interfaceClass.prototype, Symbol.toStringTag, { value: name, configurable: true });
}

/** {@link asInterface} and {@link define} for each of several classes. */
export function exposeInterfaces(target: object, classes: Record<string, Class>): void {
  for (const [name, interfaceClass] of Object.entries(classes)) {
    asInterface(name, interfaceClass);
    define(target, name, interfaceClass);
  }
}

/** Constants that both an interface and its instances have. */
export function constants(interfaceClass: Class, values: Record<string, number>): void {
  for (const [name, value] of Object.entries(values))
    for (const holder of [interfaceClass, interfaceClass.prototype])
      Object.defineProperty(holder, name, { value, enumerable: true });
}
