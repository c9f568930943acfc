// Parse JavaScript without running it: a question a line, an answer a line, as JSON.
"use strict";

const readline = require("node:readline");
const vm = require("node:vm");

const IDLE_MS = 300_000;
const LONGEST_LINE = 200;
// What Node gives a CommonJS module, whose body is a function's.
const SCOPE = ["exports", "require", "module", "__filename", "__dirname"];

// Node's own way to put the place into the trace of a module's error; reached by --expose-internals.
let decorate = () => {};
try {
  decorate = require("internal/util").decorateErrorStack;
} catch {
  // This Node has none: the problem is still found, but its place is not.
}

function problem({ name, text, goal }) {
  try {
    if (goal === "module") new vm.SourceTextModule(text, { identifier: name });
    else vm.compileFunction(text, SCOPE, { filename: name });
    return "";
  } catch (error) {
    if (error instanceof RangeError) return `${name}:1:1: nested too deeply`;
    decorate(error);
    return `${placed(name, error)}`;
  }
}

// The trace begins with `name:line`, the line, and a caret below the column.
function placed(name, error) {
  const [place, line = "", caret = ""] = String(error.stack).split("\n", 3);
  const row = place.startsWith(`${name}:`) ? Number(place.slice(name.length + 1)) : NaN;
  if (!row) return `${name}:1:1: ${error.message}`;
  const column = Math.max(caret.indexOf("^"), 0) + 1;
  return `${name}:${row}:${column}: ${error.message}\n    ${line.trim().slice(0, LONGEST_LINE)}`;
}

const idle = setTimeout(() => process.exit(), IDLE_MS);
readline.createInterface({ input: process.stdin }).on("line", (line) => {
  process.stdout.write(JSON.stringify(problem(JSON.parse(line))) + "\n");
  idle.refresh();
}).on("close", () => process.exit());
