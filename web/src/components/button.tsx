import type { ButtonHTMLAttributes } from "react";
import { cn } from "@/lib/cn";

type Look = "primary" | "plain" | "quiet" | "danger";

const LOOKS: Record<Look, string> = {
  primary: "bg-primary text-on-primary border-transparent hover:opacity-90",
  plain: "bg-background text-foreground border-control hover:bg-panel",
  quiet: "bg-transparent text-foreground border-transparent hover:bg-panel",
  danger: "bg-danger-soft text-danger border-danger hover:opacity-90",
};

export interface ButtonProps extends ButtonHTMLAttributes<HTMLButtonElement> {
  look?: Look;
  /** Only an icon inside: square, and named by `aria-label`. */
  isIcon?: boolean;
}

/** The classes of a button, for a link that reads as one. */
export function buttonLook(look: Look, isIcon = false): string {
  const shape = "inline-flex h-8 items-center justify-center gap-1.5 rounded-md border text-sm font-medium whitespace-nowrap select-none disabled:cursor-not-allowed disabled:opacity-60";
  return cn(shape, isIcon ? "w-8" : "px-3", LOOKS[look]);
}

export function Button({ look = "plain", isIcon = false, className, type = "button", ...rest }: ButtonProps) {
  return <button type={type} className={cn(buttonLook(look, isIcon), className)} {...rest} />;
}
