// How many segments an SMS takes: 160 characters of GSM-7 (153 when there are several), 70 of anything else (67).
// 3GPP TS 23.038, 6.2.1.

const BASIC = new Set(
  "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà",
);
const EXTENDED = new Set("^{}\\[~]|€\f");

export interface Segments {
  count: number;
  units: number;
  isGsm: boolean;
}

export function segmentsOf(text: string): Segments {
  const characters = [...text];
  const isGsm = characters.every((one) => BASIC.has(one) || EXTENDED.has(one));
  const units = isGsm ? characters.reduce((sum, one) => sum + (EXTENDED.has(one) ? 2 : 1), 0) : text.length;
  const [single, part] = isGsm ? [160, 153] : [70, 67];
  return { units, isGsm, count: units === 0 ? 0 : units <= single ? 1 : Math.ceil(units / part) };
}
