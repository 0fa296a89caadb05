/** What Node.js 20 has and Debian 12's 18 hasn't: users of the package have 20, the tests run on either. */
import { webcrypto } from "node:crypto";

globalThis.crypto ??= webcrypto;
String.prototype.isWellFormed ??= function () {
  return !/\p{Cs}/u.test(this);
};
String.prototype.toWellFormed ??= function () {
  return this.replace(/\p{Cs}/gu, "\ufffd");
};
