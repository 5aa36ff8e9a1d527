import "./styles.css";
import "@/lib/i18n";
import "@/lib/theme";
import { QueryClientProvider } from "@tanstack/react-query";
import { RouterProvider } from "@tanstack/react-router";
import { StrictMode } from "react";
import { createRoot } from "react-dom/client";
import { Toasts } from "@/components/toasts";
import { queryClient } from "@/lib/query";
import { shareSession } from "@/lib/session";
import { claimTab } from "@/lib/tab";
import { redeemTicket } from "./arrival";
import { router } from "./router";

const root = document.getElementById("root");
if (root === null) throw new Error("index.html has no #root");

// The ticket in the address signs in before any page asks who is there.
await redeemTicket();
await Promise.all([claimTab(), shareSession()]);

createRoot(root).render(
  <StrictMode>
    <QueryClientProvider client={queryClient}>
      <RouterProvider router={router} />
      <Toasts />
    </QueryClientProvider>
  </StrictMode>,
);
