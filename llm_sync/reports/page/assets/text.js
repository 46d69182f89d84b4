"use strict";
// Text of models as text: hidden characters by name, differences marked. Nothing here makes markup from text.

const SHOWN_AS_THEY_ARE = new Set(["\n", "\t", "\u200c", "\u200d"]);
const HIDDEN = /[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/gu;
const TOKENS = /[\p{L}\p{N}_]+|\s+|[^]/gu;
const MAX_TABLE = 1_000_000;

function element(name, attributes = {}, ...children) {
  const node = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (value !== undefined && value !== null && value !== false) node.setAttribute(key, value);
  }
  node.append(...children.filter((child) => child !== null));
  return node;
}

function symbol(character) {
  return "U+" + character.codePointAt(0).toString(16).toUpperCase().padStart(4, "0");
}

function labelOf(text) {
  return text.replace(HIDDEN, (character) => (character === "\u200c" || character === "\u200d" ? character : symbol(character)));
}

// Appends text to a node, with hidden characters as symbols.
function appendVisible(node, text) {
  let end = 0;
  for (const match of text.matchAll(HIDDEN)) {
    if (SHOWN_AS_THEY_ARE.has(match[0])) continue;
    node.append(text.slice(end, match.index));
    node.append(element("span", { class: "hidden-character", title: "hidden character" }, symbol(match[0])));
    end = match.index + match[0].length;
  }
  node.append(text.slice(end));
  return node;
}

function lineEnds(text) {
  return text.replaceAll("\r\n", "\n");
}

// The pieces of `text` as [piece, differs], compared with `reference` word by word.
function differences(text, reference) {
  const after = text.match(TOKENS) ?? [], before = reference.match(TOKENS) ?? [];
  let first = 0, last = 0;
  const shorter = Math.min(after.length, before.length);
  while (first < shorter && after[first] === before[first]) first++;
  while (last < shorter - first && after[after.length - 1 - last] === before[before.length - 1 - last]) last++;
  const middle = after.slice(first, after.length - last), other = before.slice(first, before.length - last);
  const common = middle.length * other.length > MAX_TABLE ? middle.map(() => false) : commonTokens(middle, other);
  const flags = [...Array(first).fill(true), ...common, ...Array(last).fill(true)];
  return joined(after, flags);
}

// For each token of `a`, whether it is in a longest common subsequence with `b`.
function commonTokens(a, b) {
  const width = b.length + 1;
  const lengths = new Uint32Array((a.length + 1) * width);
  for (let i = a.length - 1; i >= 0; i--) {
    for (let j = b.length - 1; j >= 0; j--) {
      const at = i * width + j;
      lengths[at] = a[i] === b[j] ? lengths[at + width + 1] + 1 : Math.max(lengths[at + width], lengths[at + 1]);
    }
  }
  const common = Array(a.length).fill(false);
  for (let i = 0, j = 0; i < a.length && j < b.length; ) {
    const at = i * width + j;
    if (a[i] === b[j]) { common[i] = true; i++; j++; }
    else if (lengths[at + width] >= lengths[at + 1]) i++;
    else j++;
  }
  return common;
}

function joined(tokens, flags) {
  const pieces = [];
  tokens.forEach((token, place) => {
    const last = pieces[pieces.length - 1];
    if (last && last[1] === !flags[place]) last[0] += token;
    else pieces.push([token, !flags[place]]);
  });
  return pieces;
}

// A block of text; what differs from `reference` (a text or null) is marked.
function textBlock(text, reference, attributes = {}) {
  const block = element("div", { dir: "auto", ...attributes });
  if (reference === null) return appendVisible(block, lineEnds(text));
  for (const [piece, differs] of differences(lineEnds(text), lineEnds(reference))) {
    if (differs) block.append(appendVisible(element("mark"), piece));
    else appendVisible(block, piece);
  }
  return block;
}
