import { type ReactNode, useEffect } from "react";

/** A page with its title, what it is for, and what one can do here. */
export function Page({ title, text, actions, children }: { title: string; text?: string; actions?: ReactNode; children: ReactNode }) {
  useTitle(title);
  return (
    <div className="mx-auto flex w-full max-w-7xl flex-col gap-4 p-4 md:p-6">
      <header className="flex flex-wrap items-start justify-between gap-3">
        <div>
          <h1 className="text-xl font-semibold">{title}</h1>
          {text && <p className="text-muted">{text}</p>}
        </div>
        <div className="flex flex-wrap items-center gap-2">{actions}</div>
      </header>
      {children}
    </div>
  );
}

export function useTitle(title: string) {
  useEffect(() => {
    document.title = `${title} – patchcord`;
  }, [title]);
}

export function Panel({ children, className = "", label }: { children: ReactNode; className?: string; label?: string }) {
  return (
    <section aria-label={label} className={`rounded-lg border bg-background ${className}`}>
      {children}
    </section>
  );
}
