import { afterEach, beforeEach, expect, it, vi } from "vitest";
import type { Definition } from "@/lib/graph/definition";
import { startAutosave } from "./autosave";
import { findDrafts } from "./drafts";
import { useBuilder } from "./store";

const DEFINITION: Definition = { name: "Start", enabled: false, trigger: { type: "manual" }, settings: {}, nodes: [], edges: [], layout: {} };

/** A server that keeps one workflow as the real one does: a change from an old revision is refused. */
class FakeServer {
  revision = 1;
  name = "Start";
  isReachable = true;

  answer = async (request: Request): Promise<Response> => {
    if (!this.isReachable) throw new TypeError("no line");
    const wanted = (await request.json()) as { name: string };
    if (request.headers.get("If-Match") !== `"${this.revision}"`) return json(409, { code: "moved", detail: "read it again" });
    if (wanted.name === "") return json(422, { code: "invalid", detail: "a name is missing" });
    this.name = wanted.name;
    this.revision += 1;
    return json(200, { id: "wf_1", revision: this.revision });
  };
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
  expect(findDrafts("wf_1").own?.definition.name).toBe("Edited");
  await soon();
  expect(useBuilder.getState().save).toBe("saved");
  expect(server.name).toBe("Edited");
  expect(findDrafts("wf_1").own).toBeNull();
});

it("never writes over somebody else's change", async () => {
  server.revision = 2;
  useBuilder.getState().rename("Mine");
  await soon();
  expect(useBuilder.getState().save).toBe("conflict");
  expect(server.name).toBe("Start");
  expect(findDrafts("wf_1").own?.definition.name).toBe("Mine");
});

it("tries again when the line comes back", async () => {
  server.isReachable = false;
  useBuilder.getState().rename("Offline");
  await soon();
  expect(useBuilder.getState().save).toBe("offline");
  server.isReachable = true;
  await vi.advanceTimersByTimeAsync(30_000);
  expect(useBuilder.getState().save).toBe("saved");
  expect(server.name).toBe("Offline");
});

it("says why a save was refused, and saves the edit that mends it", async () => {
  useBuilder.getState().rename("");
  await soon();
  expect(useBuilder.getState()).toMatchObject({ save: "refused", refusal: "a name is missing" });
  useBuilder.getState().rename("Mended");
  await soon();
  expect(server.name).toBe("Mended");
});

it("an edit made while a save is under way is saved after it", async () => {
  useBuilder.getState().rename("One");
  await vi.advanceTimersByTimeAsync(700);
  useBuilder.getState().rename("Two");
  await soon();
  await soon();
  expect(server.name).toBe("Two");
  expect(useBuilder.getState().save).toBe("saved");
});
