// Lays a graph out in layers from top to bottom: what comes later stands lower, ways cross little, steps stand over what they
// lead to. In: ids in the order they are written and their ways. Out: a layer and a middle for each. Pure.
//
// The usual four steps (Sugiyama, Tagawa, Toda 1981): cut rings, layer by the longest way, order each layer by the middles of its
// neighbours, place. A way over several layers is led by a narrow place in each, so that it passes beside the steps there.

export interface Placed {
  layer: number;
  /** The middle, from left to right. */
  x: number;
}

interface Spot {
  id: string;
  layer: number;
  width: number;
  x: number;
  above: Spot[];
  below: Spot[];
}

const LED_WIDTH = 24;
const ORDER_PASSES = 6;
const PLACE_PASSES = 10;

export function layered(ids: readonly string[], ways: readonly { from: string; to: string }[], width: number, gap: number): Map<string, Placed> {
  const spots = new Map(ids.map((id) => [id, spotOf(id, width)]));
  const links = ways.flatMap(({ from, to }) => {
    const [one, other] = [spots.get(from), spots.get(to)];
    return one && other && one !== other ? [[one, other] as const] : [];
  });
  const { entered, sorted } = withoutRings([...spots.values()], links);
  for (const spot of sorted) for (const next of spot.below) next.layer = Math.max(next.layer, spot.layer + 1);
  const layers: Spot[][] = [];
  for (const spot of entered) (layers[spot.layer] ??= []).push(spot);
  for (const spot of entered) for (const next of [...spot.below]) lead(spot, next, layers);
  order(layers);
  place(layers, gap);
  return new Map([...spots.values()].map(({ id, layer, x }) => [id, { layer, x }]));
}

function spotOf(id: string, width: number): Spot {
  return { id, width, layer: 0, x: 0, above: [], below: [] };
}

/** Links what does not lead back. `entered`: as one comes by them; `sorted`: each before what it leads to. */
function withoutRings(spots: Spot[], links: (readonly [Spot, Spot])[]): { entered: Spot[]; sorted: Spot[] } {
  const out = new Map<Spot, Spot[]>();
  for (const [from, to] of links) if (!out.get(from)?.includes(to)) out.set(from, [...(out.get(from) ?? []), to]);
  const entered = new Set<Spot>();
  const left = new Set<Spot>();
  const walk = (spot: Spot) => {
    entered.add(spot);
    for (const next of out.get(spot) ?? []) {
      if (entered.has(next) && !left.has(next)) continue;
      spot.below.push(next);
      next.above.push(spot);
      if (!entered.has(next)) walk(next);
    }
    left.add(spot);
  };
  for (const spot of spots) if (!entered.has(spot)) walk(spot);
  return { entered: [...entered], sorted: [...left].reverse() };
}

/** Leads a way that skips layers through a narrow spot in each of them. */
function lead(from: Spot, to: Spot, layers: Spot[][]): void {
  if (to.layer === from.layer + 1) return;
  let before = from;
  from.below.splice(from.below.indexOf(to), 1);
  to.above.splice(to.above.indexOf(from), 1);
  for (let layer = from.layer + 1; layer < to.layer; layer++) {
    const led: Spot = { ...spotOf("", LED_WIDTH), layer, above: [before], below: [] };
    before.below.push(led);
    layers[layer]?.push(led);
    before = led;
  }
  before.below.push(to);
  to.above.push(before);
}

/** Sorts each layer by where its neighbours stand, down and up again. */
function order(layers: Spot[][]): void {
  const at = new Map<Spot, number>();
  const count = (layer: Spot[]) => layer.forEach((spot, index) => at.set(spot, index));
  layers.forEach(count);
  for (let pass = 0; pass < ORDER_PASSES; pass++) {
    const isDown = pass % 2 === 0;
    for (const layer of isDown ? layers : layers.toReversed()) {
      const wanted = new Map(layer.map((spot) => [spot, mean((isDown ? spot.above : spot.below).map((one) => at.get(one) ?? 0)) ?? at.get(spot) ?? 0]));
      layer.sort((one, other) => (wanted.get(one) ?? 0) - (wanted.get(other) ?? 0));
      count(layer);
    }
  }
}

/** Moves each layer as near to its neighbours as its widths let it. */
function place(layers: Spot[][], gap: number): void {
  for (const layer of layers) settle(layer, layer.map(() => 0), gap);
  for (let pass = 0; pass < PLACE_PASSES; pass++) {
    const isDown = pass % 2 === 1;
    for (const layer of isDown ? layers : layers.toReversed()) {
      const wanted = layer.map((spot) => mean((isDown ? spot.above : spot.below).map((one) => one.x)) ?? spot.x);
      settle(layer, wanted, gap);
    }
  }
}

/** The places nearest to those wanted, in the same order and without overlap: neighbours that push share their push. */
function settle(layer: Spot[], wanted: number[], gap: number): void {
  let offset = 0;
  const offsets = layer.map((spot, at) => {
    if (at > 0) offset += ((layer[at - 1]?.width ?? 0) + spot.width) / 2 + gap;
    return offset;
  });
  const blocks: { sum: number; size: number }[] = [];
  for (let at = 0; at < layer.length; at++) {
    let block = { sum: (wanted[at] ?? 0) - (offsets[at] ?? 0), size: 1 };
    for (let last = blocks.at(-1); last && last.sum / last.size > block.sum / block.size; last = blocks.at(-1)) {
      block = { sum: last.sum + block.sum, size: last.size + block.size };
      blocks.pop();
    }
    blocks.push(block);
  }
  const starts = blocks.flatMap(({ sum, size }) => Array.from({ length: size }, () => sum / size));
  layer.forEach((spot, at) => {
    spot.x = (starts[at] ?? 0) + (offsets[at] ?? 0);
  });
}

function mean(values: number[]): number | undefined {
  return values.length === 0 ? undefined : values.reduce((sum, value) => sum + value, 0) / values.length;
}
