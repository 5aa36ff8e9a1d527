import { afterEach, beforeEach, expect, it } from "vitest";
import { hold } from "./focus";

let box: HTMLElement;
let stop: () => void;

beforeEach(() => {
  document.body.innerHTML = "<button id='out'></button><ul><li><button id='a'></button></li><li><button id='b'></button></li><li><button id='c'></button></li></ul>";
  box = document.querySelector("ul") as HTMLElement;
  stop = hold(box);
});
afterEach(() => stop());

const at = (id: string) => document.getElementById(id) as HTMLElement;
const removed = async (id: string) => {
  at(id).closest("li")?.remove();
  await new Promise((resolve) => setTimeout(resolve, 10));
};

it("goes on to what stood after, then before, then the list", async () => {
  at("b").focus();
  await removed("b");
  expect(document.activeElement?.id).toBe("c");
  await removed("c");
  expect(document.activeElement?.id).toBe("a");
  await removed("a");
  expect(document.activeElement).toBe(box);
});

it("leaves alone who went elsewhere", async () => {
  at("b").focus();
  at("out").focus();
  await removed("b");
  expect(document.activeElement?.id).toBe("out");
});
