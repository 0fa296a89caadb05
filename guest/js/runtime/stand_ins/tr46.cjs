/* Stands in for tr46: the same, but loaded by the first host name that isn't ASCII. See ../bundle.mjs. */
"use strict";

let tr46;

function load() {
  tr46 ??= require("tr46/index.js");
  return tr46;
}

exports.toASCII = (...args) => load().toASCII(...args);
exports.toUnicode = (...args) => load().toUnicode(...args);
