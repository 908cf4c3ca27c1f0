/** Transfer Syntaxes by name, of those that code here tells apart (PS3.5 A). */
export const IMPLICIT_LITTLE = "1.2.840.10008.1.2";
export const EXPLICIT_LITTLE = "1.2.840.10008.1.2.1";
export const DEFLATED = "1.2.840.10008.1.2.1.99";
export const EXPLICIT_BIG = "1.2.840.10008.1.2.2";
export const ENCAPSULATED_UNCOMPRESSED = "1.2.840.10008.1.2.1.98";
export const JPEG_BASELINE = "1.2.840.10008.1.2.4.50";
export const JPEG_EXTENDED = "1.2.840.10008.1.2.4.51";
export const DEFLATED_FRAMES = "1.2.840.10008.1.2.8.1";
