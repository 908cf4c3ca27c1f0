/** Units of UCUM, as DICOM codes them (PS3.16 CID 84 and 7181), and as people read them. */

const UCUM: Readonly<Record<string, string>> = {
  mm: "mm", cm: "cm", "mm²": "mm2", "cm²": "cm2", "mm³": "mm3", "cm³": "cm3", px: "{pixels}", "px²": "{square_pixels}",
  "°": "deg", HU: "[hnsf'U]", SUVbw: "g/ml{SUVbw}", "": "1",
};
/** Some write the annotation first. */
const OLDER: Readonly<Record<string, string>> = { "{SUVbw}g/ml": "SUVbw" };
const SHOWN = new Map([...Object.entries(UCUM).map(([shown, unit]) => [unit, shown] as const), ...Object.entries(OLDER)]);
const PRINTABLE = /^[\x21-\x7e]{1,16}$/;

export function ucum(unit: string): string {
  return UCUM[unit] ?? (PRINTABLE.test(unit) ? unit : "1");
}

export function shownUnit(unit: string): string {
  return SHOWN.get(unit) ?? unit;
}
