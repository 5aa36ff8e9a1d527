// Which page stands at which address. Every page is a chunk of its own; the server knows the same addresses (src/http/ui.rs).

import { createRootRoute, createRoute, createRouter, lazyRouteComponent, Outlet, redirect } from "@tanstack/react-router";
import { Slow } from "@/components/states";
import { isSignedIn, onSessionChange } from "@/lib/session";
import { Broken, Lost } from "./broken";
import { Shell } from "./shell";

const root = createRootRoute({ component: Outlet, errorComponent: Broken, notFoundComponent: Lost });

const login = createRoute({
  getParentRoute: () => root,
  path: "/login",
  beforeLoad: () => {
    if (isSignedIn()) throw redirect({ to: "/live" });
  },
  component: lazyRouteComponent(() => import("@/features/auth/login"), "Login"),
});

const setup = createRoute({
  getParentRoute: () => root,
  path: "/setup",
  component: lazyRouteComponent(() => import("@/features/auth/setup"), "Setup"),
});

const shell = createRoute({
  getParentRoute: () => root,
  id: "shell",
  beforeLoad: () => {
    if (!isSignedIn()) throw redirect({ to: "/login" });
  },
  component: Shell,
  errorComponent: Broken,
});

const home = createRoute({
  getParentRoute: () => shell,
  path: "/",
  beforeLoad: () => {
    throw redirect({ to: "/live" });
  },
});

const live = createRoute({ getParentRoute: () => shell, path: "/live", component: lazyRouteComponent(() => import("@/features/live/live-page"), "LivePage") });
const workflows = createRoute({ getParentRoute: () => shell, path: "/workflows", component: lazyRouteComponent(() => import("@/features/workflows/workflows-page"), "WorkflowsPage") });
const builder = createRoute({ getParentRoute: () => shell, path: "/workflows/$workflowId", component: lazyRouteComponent(() => import("@/features/builder/builder-page"), "BuilderPage") });
const templates = createRoute({ getParentRoute: () => shell, path: "/templates", component: lazyRouteComponent(() => import("@/features/templates/templates-page"), "TemplatesPage") });
const runs = createRoute({
  getParentRoute: () => shell,
  path: "/runs",
  validateSearch: (search): { workflow?: string; status?: string; q?: string } => {
    const text = (name: string) => (typeof search[name] === "string" && search[name] !== "" ? search[name] : undefined);
    return { workflow: text("workflow"), status: text("status"), q: text("q") };
  },
  component: lazyRouteComponent(() => import("@/features/runs/runs-page"), "RunsPage"),
});
const run = createRoute({ getParentRoute: () => shell, path: "/runs/$runId", component: lazyRouteComponent(() => import("@/features/runs/run-page"), "RunPage") });
const leads = createRoute({ getParentRoute: () => shell, path: "/leads", validateSearch: (search): { tab?: string; q?: string } => ({ tab: textIn(search.tab), q: textIn(search.q) }), component: lazyRouteComponent(() => import("@/features/leads/leads-page"), "LeadsPage") });
const duplicates = createRoute({ getParentRoute: () => shell, path: "/leads/duplicates", component: lazyRouteComponent(() => import("@/features/leads/duplicates-page"), "DuplicatesPage") });
const lead = createRoute({ getParentRoute: () => shell, path: "/leads/$leadId", component: lazyRouteComponent(() => import("@/features/leads/lead-page"), "LeadPage") });
const tasks = createRoute({ getParentRoute: () => shell, path: "/tasks", component: lazyRouteComponent(() => import("@/features/tasks/tasks-page"), "TasksPage") });
const messages = createRoute({ getParentRoute: () => shell, path: "/messages", component: lazyRouteComponent(() => import("@/features/messages/messages-page"), "MessagesPage") });
const settings = createRoute({
  getParentRoute: () => shell,
  path: "/settings",
  validateSearch: (search): { tab?: string } => ({ tab: typeof search.tab === "string" ? search.tab : undefined }),
  component: lazyRouteComponent(() => import("@/features/settings/settings-page"), "SettingsPage"),
});

function textIn(value: unknown): string | undefined {
  // A search of digits alone is read from the address as a number.
  if (typeof value === "number") return String(value);
  return typeof value === "string" && value !== "" ? value : undefined;
}

const routeTree = root.addChildren([login, setup, shell.addChildren([home, live, workflows, builder, templates, runs, run, leads, duplicates, lead, tasks, messages, settings])]);

export const router = createRouter({ routeTree, defaultPendingComponent: Slow, defaultErrorComponent: Broken, defaultPreload: "intent" });

// Who is signed out elsewhere, or whose session ends, is shown the door.
onSessionChange(() => void router.invalidate());

declare module "@tanstack/react-router" {
  interface Register {
    router: typeof router;
  }
}
