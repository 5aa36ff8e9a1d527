interface SwitchProps {
  id?: string;
  label?: string;
  isOn: boolean;
  isDisabled?: boolean;
  onChange: (isOn: boolean) => void;
}

export function Switch({ id, label, isOn, isDisabled, onChange }: SwitchProps) {
  return (
    <button
      type="button"
      role="switch"
      id={id}
      aria-label={label}
      aria-checked={isOn}
      disabled={isDisabled}
      onClick={() => onChange(!isOn)}
      className={`h-5 w-9 shrink-0 rounded-full border disabled:opacity-60 ${isOn ? "border-primary bg-primary" : "border-control bg-panel"}`}
    >
      <span className={`block size-4 rounded-full transition-transform ${isOn ? "translate-x-[17px] bg-on-primary" : "translate-x-px bg-control"}`} />
    </button>
  );
}
