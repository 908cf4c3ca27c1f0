/**
 * Stands in for the `xmlbuilder2` package, which vtk.js imports for the VTK file formats. The
 * viewer opens none of them, and the real package throws in a browser while it is loaded.
 */
export function create(): never {
  throw new Error("XML file formats are not part of this viewer");
}
