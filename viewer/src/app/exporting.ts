/** What is seen now, as the dialog that takes it out of the viewer wants it. */
import { lieOf, type Scene, type SceneCell } from "../ui/exportscene";
import type { OpenStudy } from "../state/study";
import { seenCells } from "../state/layout";
import type { Notes } from "./notes";
import type { Stage } from "./stage";

export function sceneOf(stage: Stage, uid: string, study: OpenStudy, { measuring, reported }: Pick<Notes, "measuring" | "reported">, box: HTMLElement): Scene {
  const layout = stage.layout();
  const { identity } = study.state();
  const from = box.getBoundingClientRect();
  const cellAt = (index: number): SceneCell | undefined => {
    const set = study.find(layout.cells[index]?.set ?? null);
    const cell = stage.cells[index]!;
    const [shown, view, element] = [cell.shown(), cell.view(), cell.element()];
    const portrait = view?.look();
    if (set?.kind !== "stack" || !shown || !view || !element || !portrait) return undefined;
    const laid = study.find(layout.cells[index]?.over ?? null);
    const { left, top, width, height } = element.getBoundingClientRect();
    return {
      model: {
        stack: set,
        study: uid,
        cut: layout.cells[index]?.cut ?? null,
        index: shown.index,
        portrait,
        over: laid?.kind === "stack" ? laid : undefined,
        fusion: shown.over ?? undefined,
      },
      around: { stack: set, identity, measuring, reported, others: stage.othersOf(index), cursor: stage.cursor() },
      shown,
      box: { x: left - from.left, y: top - from.top, width, height },
      ...lieOf(view, shown, { width, height }),
    };
  };
  return {
    cells: seenCells(layout).flatMap((index) => cellAt(index) ?? []),
    active: cellAt(layout.active),
    size: { width: from.width, height: from.height },
    identity,
  };
}
