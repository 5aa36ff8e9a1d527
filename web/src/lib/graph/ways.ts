// The curve of a way between two steps: straight down where nothing is in between, else past the side of what is. Pure geometry.

import type { Point } from "./definition";
import { NODE_HEIGHT, NODE_WIDTH } from "./layout";

export interface Way {
  /** As an SVG path. */
  path: string;
  middle: Point;
}

/** A way that leads upward or hardly down still leaves its step downward. */
const BEND_MIN = 36;
/** Between a step and a way that passes it. */
const CLEAR = 36;

/** Where a way from one point down to another has to pass to the side of `corners`, the upper left ones of steps; null: nowhere. */
export function passOf([x, y]: Point, [toX, toY]: Point, corners: Iterable<Point>): { x: number; top: number; bottom: number } | null {
  const [left, right] = [Math.min(x, toX), Math.max(x, toX)];
  const inTheWay = [...corners].filter(([cornerX, cornerY]) => {
    const isBetween = cornerY > y && cornerY + NODE_HEIGHT < toY;
    return isBetween && cornerX - CLEAR < right && cornerX + NODE_WIDTH + CLEAR > left;
  });
  if (inTheWay.length === 0) return null;
  const [xs, ys] = [inTheWay.map(([cornerX]) => cornerX), inTheWay.map(([, cornerY]) => cornerY)];
  const [before, behind] = [Math.min(...xs) - CLEAR, Math.max(...xs) + NODE_WIDTH + CLEAR];
  const middle = (x + toX) / 2;
  return { x: middle - before < behind - middle ? before : behind, top: Math.min(...ys), bottom: Math.max(...ys) + NODE_HEIGHT };
}

export function wayBetween([x, y]: Point, [toX, toY]: Point, pass: ReturnType<typeof passOf>): Way {
  if (pass === null) {
    const bend = Math.max(BEND_MIN, (toY - y) / 2);
    return { path: `M${x},${y} C${x},${y + bend} ${toX},${toY - bend} ${toX},${toY}`, middle: [(x + toX) / 2, (y + toY) / 2] };
  }
  const [above, below] = [(y + pass.top) / 2, (pass.bottom + toY) / 2];
  const path = `M${x},${y} C${x},${above} ${pass.x},${above} ${pass.x},${pass.top} L${pass.x},${pass.bottom} C${pass.x},${below} ${toX},${below} ${toX},${toY}`;
  return { path, middle: [pass.x, (pass.top + pass.bottom) / 2] };
}
