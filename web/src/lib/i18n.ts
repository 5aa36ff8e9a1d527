// Strings of the pages. The key is the English text itself; another language is a resource keyed by it.

import i18next from "i18next";
import { initReactI18next } from "react-i18next";

const en = {
  "{{count}} steps_one": "{{count}} step",
  "{{count}} steps_other": "{{count}} steps",
  "{{count}} problems_one": "{{count}} problem",
  "{{count}} problems_other": "{{count}} problems",
  "{{count}} segments_one": "{{count}} segment",
  "{{count}} segments_other": "{{count}} segments",
  "{{count}} runs moved_one": "{{count}} run moved",
  "{{count}} runs moved_other": "{{count}} runs moved",
  "{{count}} runs started over_one": "{{count}} run started over",
  "{{count}} runs started over_other": "{{count}} runs started over",
  "{{count}} runs stay as they are: {{reason}}_one": "{{count}} run stays as it is: {{reason}}",
  "{{count}} runs stay as they are: {{reason}}_other": "{{count}} runs stay as they are: {{reason}}",
  "{{count}} runs on v{{version}} at {{nodes}}_one": "{{count}} run on v{{version}} at {{nodes}}",
  "{{count}} runs on v{{version}} at {{nodes}}_other": "{{count}} runs on v{{version}} at {{nodes}}",
  "{{count}} other supervisors take part_one": "{{count}} other supervisor takes part",
  "{{count}} other supervisors take part_other": "{{count}} other supervisors take part",
  "{{what}}: what is older than {{count}} days_one": "{{what}}: what is older than {{count}} day",
  "{{what}}: what is older than {{count}} days_other": "{{what}}: what is older than {{count}} days",
  "The oldest {{shown}} are shown; {{count}} more have it too._one": "The oldest {{shown}} are shown; {{count}} more has it too.",
  "The oldest {{shown}} are shown; {{count}} more have it too._other": "The oldest {{shown}} are shown; {{count}} more have it too.",
  "{{count}} open_one": "{{count}} open",
  "{{count}} open_other": "{{count}} open",
};

void i18next.use(initReactI18next).init({
  lng: "en",
  fallbackLng: "en",
  resources: { en: { translation: en } },
  keySeparator: false,
  nsSeparator: false,
  // React escapes already.
  interpolation: { escapeValue: false },
});

export { i18next };
