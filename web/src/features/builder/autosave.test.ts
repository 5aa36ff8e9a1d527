import { afterEach, beforeEach, expect, it, vi } from "vitest";
import type { Definition } from "@/lib/graph/definition";
import { startAutosave } from "./autosave";
import { findOwnDraft } from "./drafts";
import { useBuilder } from "./store";

const DEFINITION: Definition = { name: "Start", enabled: false, trigger: { type: "manual" }, settings: {}, nodes: [], edges: [], layout: {} };

/** A server that keeps one workflow as the real one does: a change from an old revision is refused. */
class FakeServer {
  revision = 1;
  definition = DEFINITION;
  isReachable = true;
  /** Saves arrive and their answers do not. */
  isMute = false;

  answer = async (request: Request): Promise<Response> => {
    if (!this.isReachable) throw new TypeError("no line");
    if (request.method === "GET") return json(200, this.workflow());
    const wanted = (await request.json()) as Partial<Definition>;
    if (request.headers.get("If-Match") !== `"${this.revision}"`) return json(409, { code: "moved", detail: "read it again" });
    if (wanted.name === "") return json(422, { code: "invalid", detail: "a name is missing" });
    this.definition = { ...this.definition, ...wanted };
    this.revision += 1;
    if (this.isMute) throw new TypeError("no answer");
    return json(200, this.workflow());
  };

  workflow() {
    return { id: "wf_1", revision: this.revision, definition: this.definition };
  }

  /** Somebody else saves. */
  change(change: Partial<Definition>) {
    this.definition = { ...this.definition, ...change };
    this.revision += 1;
  }
}

const json = (status: number, value: unknown) => new Response(JSON.stringify(value), { status, headers: { "Content-Type": "application/json" } });

let server: FakeServer;
let stop: () => void;

beforeEach(() => {
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "Date"] });
  localStorage.clear();
  server = new FakeServer();
  vi.stubGlobal("fetch", (request: Request) => server.answer(request));
  useBuilder.getState().load({ id: "wf_1", revision: 1, definition: DEFINITION, isDirty: false });
  stop = startAutosave("wf_1");
});

afterEach(() => {
  stop();
  vi.useRealTimers();
  vi.unstubAllGlobals();
});

const soon = () => vi.advanceTimersByTimeAsync(1000);

it("says saved only once the server has the edit, and keeps it in the browser until then", async () => {
  useBuilder.getState().rename("Edited");
  expect(useBuilder.getState().save).toBe("waiting");
  expect(findOwnDraft("wf_1")?.definition.name).toBe("Edited");
  await soon();
  expect(useBuilder.getState().save).toBe("saved");
  expect(server.definition.name).toBe("Edited");
  expect(findOwnDraft("wf_1")).toBeNull();
});

it("never writes over somebody else's change of the same: a person decides", async () => {
  server.change({ name: "Theirs" });
  useBuilder.getState().rename("Mine");
  await soon();
  expect(useBuilder.getState()).toMatchObject({ save: "conflict", clashes: ["name"] });
  expect(server.definition.name).toBe("Theirs");
  expect(findOwnDraft("wf_1")?.definition.name).toBe("Mine");
  useBuilder.getState().rebase(server.definition, server.revision, "mine");
  await soon();
  expect(server.definition.name).toBe("Mine");
  expect(findOwnDraft("wf_1")).toBeNull();
});

it("lays its edits over somebody else's, and undo takes back its own alone", async () => {
  server.change({ trigger: { type: "lead.created" } });
  useBuilder.getState().rename("Mine");
  await soon();
  await soon();
  expect(server.definition).toMatchObject({ name: "Mine", trigger: { type: "lead.created" } });
  expect(useBuilder.getState().save).toBe("saved");
  useBuilder.getState().undo();
  await soon();
  expect(server.definition).toMatchObject({ name: "Start", trigger: { type: "lead.created" } });
});

it("an edit that somebody else made too needs no saving", async () => {
  server.change({ name: "Same" });
  useBuilder.getState().rename("Same");
  await soon();
  expect(useBuilder.getState().save).toBe("saved");
  expect(server.revision).toBe(2);
  expect(findOwnDraft("wf_1")).toBeNull();
});

it("tries again when the line comes back", async () => {
  server.isReachable = false;
  useBuilder.getState().rename("Offline");
  await soon();
  expect(useBuilder.getState().save).toBe("offline");
  server.isReachable = true;
  await vi.advanceTimersByTimeAsync(30_000);
  expect(useBuilder.getState().save).toBe("saved");
  expect(server.definition.name).toBe("Offline");
});

it("its own save that arrived without an answer is no conflict", async () => {
  server.isMute = true;
  useBuilder.getState().rename("Mi");
  await soon();
  expect(server.definition.name).toBe("Mi");
  server.isMute = false;
  useBuilder.getState().rename("Mine");
  await vi.advanceTimersByTimeAsync(30_000);
  expect(useBuilder.getState()).toMatchObject({ save: "saved", clashes: [] });
  expect(server.definition.name).toBe("Mine");
});

it("says why a save was refused, and saves the edit that mends it", async () => {
  useBuilder.getState().rename("");
  await soon();
  expect(useBuilder.getState()).toMatchObject({ save: "refused", refusal: "a name is missing" });
  useBuilder.getState().rename("Mended");
  await soon();
  expect(server.definition.name).toBe("Mended");
});

it("an edit made while a save is under way is saved after it", async () => {
  useBuilder.getState().rename("One");
  await vi.advanceTimersByTimeAsync(700);
  useBuilder.getState().rename("Two");
  await soon();
  await soon();
  expect(server.definition.name).toBe("Two");
  expect(useBuilder.getState().save).toBe("saved");
});
