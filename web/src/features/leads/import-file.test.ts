import { expect, it } from "vitest";
import { columnsOf, guessed } from "./import-file";

it("reads the columns and the first values, whatever the delimiter", () => {
  const wanted = [
    { header: "Full Name", samples: ['Lee; "Ann"', "Bø"] },
    { header: "Mobile", samples: ["+14155550100"] },
  ];
  for (const delimiter of [",", ";", "\t", "|"]) {
    const text = `\uFEFFFull Name${delimiter}Mobile\r\n"Lee; ""Ann"""${delimiter}+14155550100\r\n\r\nBø${delimiter}\r\n`;
    expect(columnsOf(text)).toEqual(wanted);
  }
});

it("takes columns for the fields that they name, and each field once", () => {
  const columns = ["Full Name", "Mobile", "Phone", "E-Mail", "Favourite plan", ""].map((header) => ({ header, samples: [] }));
  expect(guessed(columns)).toEqual({ "Full Name": "name", Mobile: "phone", Phone: "fields.phone", "E-Mail": "email", "Favourite plan": "fields.favourite_plan", "": "" });
});

it("shows nothing of an empty file", () => {
  expect(columnsOf("")).toEqual([]);
  expect(columnsOf("\n\n")).toEqual([]);
});
