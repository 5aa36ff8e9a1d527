// Money is kept in minor units: 1250 of a currency with two digits is 12.50.

/** Digits behind the point, as the currency has them: two for most, none for yen. */
function digitsOf(currency: string): number {
  return new Intl.NumberFormat("en", { style: "currency", currency }).resolvedOptions().maximumFractionDigits ?? 2;
}

export function money(amount: number, currency: string): string {
  return new Intl.NumberFormat(undefined, { style: "currency", currency }).format(amount / 10 ** digitsOf(currency));
}

/** Reads `12.50` as 1250; null for what is no amount of the currency. */
export function minorUnits(text: string, currency: string): number | null {
  if (!/^[a-z]{3}$/i.test(currency)) return null;
  const digits = digitsOf(currency);
  const [, whole = "", fraction = ""] = /^(\d{1,12})(?:[.,](\d+))?$/.exec(text.trim()) ?? [];
  return whole === "" || fraction.length > digits ? null : Number(whole + fraction.padEnd(digits, "0"));
}

/** The amount as `minorUnits` reads it: 1250 is 12.50. */
export function decimal(amount: number, currency: string): string {
  const digits = digitsOf(currency);
  return (amount / 10 ** digits).toFixed(digits);
}
