import { Switch as Radix } from "radix-ui";

interface SwitchProps {
  id?: string;
  label?: string;
  isOn: boolean;
  isDisabled?: boolean;
  onChange: (isOn: boolean) => void;
}

export function Switch({ id, label, isOn, isDisabled, onChange }: SwitchProps) {
  return (
    <Radix.Root
      id={id}
      aria-label={label}
      checked={isOn}
      disabled={isDisabled}
      onCheckedChange={onChange}
      className="relative h-5 w-9 shrink-0 rounded-full border border-control bg-panel data-[state=checked]:border-primary data-[state=checked]:bg-primary disabled:opacity-60"
    >
      <Radix.Thumb className="block size-4 translate-x-px rounded-full bg-control transition-transform data-[state=checked]:translate-x-[17px] data-[state=checked]:bg-on-primary" />
    </Radix.Root>
  );
}
