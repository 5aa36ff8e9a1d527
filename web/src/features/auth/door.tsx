import type { FormEvent, ReactNode } from "react";
import { useTitle } from "@/components/page";

/** The frame of the pages before anybody is signed in. */
export function Door({ title, text, error, onSubmit, children }: { title: string; text?: string; error: string | null; onSubmit: (fields: FormData) => void; children: ReactNode }) {
  useTitle(title);
  const submit = (event: FormEvent<HTMLFormElement>) => {
    event.preventDefault();
    onSubmit(new FormData(event.currentTarget));
  };
  return (
    <main className="grid min-h-full place-items-center bg-panel p-4">
      <form onSubmit={submit} className="flex w-full max-w-sm flex-col gap-4 rounded-lg border bg-background p-6 shadow-sm">
        <div>
          <p className="font-semibold text-primary">patchcord</p>
          <h1 className="text-xl font-semibold">{title}</h1>
          {text && <p className="text-muted">{text}</p>}
        </div>
        {children}
        <p role="alert" className="text-sm whitespace-pre-line text-danger empty:hidden">
          {error}
        </p>
      </form>
    </main>
  );
}
