// The frame of every page for people who are signed in: navigation, the line to the server, dark and light.

import { Link, Outlet, useLocation } from "@tanstack/react-router";
import { Activity, History, Inbox, LayoutTemplate, ListChecks, LogOut, Moon, Settings, Sun, Users, Workflow } from "lucide-react";
import { useEffect, useRef } from "react";
import { useTranslation } from "react-i18next";
import { Badge } from "@/components/badge";
import { Button } from "@/components/button";
import { Simulate } from "@/components/simulate";
import { api } from "@/lib/api";
import { sendDeletions } from "@/lib/deletion";
import { startLive, useLive } from "@/lib/live/store";
import { useMe } from "@/lib/me";
import { queryClient } from "@/lib/query";
import { forgetTokens } from "@/lib/session";
import { useTheme } from "@/lib/theme";

const PAGES = [
  { to: "/live", label: "Live", icon: Activity },
  { to: "/workflows", label: "Workflows", icon: Workflow },
  { to: "/templates", label: "Templates", icon: LayoutTemplate },
  { to: "/runs", label: "Runs", icon: History },
  { to: "/leads", label: "Leads", icon: Users },
  { to: "/tasks", label: "Tasks", icon: ListChecks },
  { to: "/messages", label: "Messages", icon: Inbox },
  { to: "/settings", label: "Settings", icon: Settings },
] as const;

export function Shell() {
  const { t } = useTranslation();
  useEffect(startLive, []);
  return (
    <div className="flex h-full flex-col">
      <a href="#main" className="sr-only focus:not-sr-only focus:absolute focus:z-50 focus:bg-background focus:p-2">
        {t("Skip to the page")}
      </a>
      <Top />
      <div className="flex min-h-0 flex-1 flex-col md:flex-row">
        <Navigation />
        <main id="main" tabIndex={-1} className="min-h-0 min-w-0 flex-1 overflow-y-auto outline-none">
          <Outlet />
        </main>
      </div>
    </div>
  );
}

function Navigation() {
  const { t } = useTranslation();
  const list = useRef<HTMLElement>(null);
  const path = useLocation({ select: ({ pathname }) => pathname });
  // On a narrow page it scrolls: where one is stays in sight.
  useEffect(() => {
    void list.current?.querySelector("[data-status=active]")?.scrollIntoView({ block: "nearest", inline: "nearest" });
  }, [path]);
  const open = useLive((state) => Object.values(state.floor.alerts).filter((alert) => !alert.acked_at).length);
  return (
    <nav ref={list} aria-label={t("Pages")} className="flex shrink-0 gap-0.5 overflow-x-auto border-b bg-panel p-2 md:w-44 md:flex-col md:border-r md:border-b-0">
      {PAGES.map(({ to, label, icon: Icon }) => (
        <Link
          key={to}
          to={to}
          className="flex items-center gap-2 rounded-md px-2.5 py-1.5 whitespace-nowrap text-muted hover:bg-background hover:text-foreground data-[status=active]:bg-background data-[status=active]:font-semibold data-[status=active]:text-foreground"
        >
          <Icon size={16} aria-hidden />
          {t(label)}
          {to === "/live" && open > 0 && (
            <Badge tone="danger" className="ml-auto">
              {open}
              <span className="sr-only">{t("open alerts")}</span>
            </Badge>
          )}
        </Link>
      ))}
    </nav>
  );
}

function Top() {
  const { t } = useTranslation();
  const me = useMe();
  const { theme, toggle } = useTheme();
  const signOut = async () => {
    // What was deleted a moment ago goes while somebody may still delete it.
    await sendDeletions();
    // Whatever the server says, this browser forgets.
    await api.POST("/api/auth/logout").catch(() => undefined);
    queryClient.clear();
    forgetTokens();
  };
  return (
    <header className="flex h-12 shrink-0 items-center gap-3 border-b px-3">
      <Link to="/live" className="font-semibold">
        patchcord
      </Link>
      <span className="hidden truncate text-muted sm:block">{me.data?.account.name}</span>
      <div className="ml-auto flex items-center gap-2">
        <Line />
        <Simulate />
        <Button look="quiet" isIcon aria-label={theme === "dark" ? t("Use light colours") : t("Use dark colours")} onClick={toggle}>
          {theme === "dark" ? <Sun size={16} aria-hidden /> : <Moon size={16} aria-hidden />}
        </Button>
        <Button look="quiet" onClick={() => void signOut()} title={me.data?.user.email}>
          <LogOut size={16} aria-hidden />
          <span className="hidden sm:inline">{t("Sign out")}</span>
        </Button>
      </div>
    </header>
  );
}

const LINES = { connecting: "Connecting", live: "Live", waiting: "Connection lost, trying again", "signed-out": "Signed out" };

function Line() {
  const { t } = useTranslation();
  const line = useLive((state) => state.line);
  return (
    <span role="status" data-line={line}>
      <Badge tone={line === "live" ? "ok" : "warn"}>{t(LINES[line])}</Badge>
    </span>
  );
}
