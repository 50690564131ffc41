// Saving all that is open, and not waiting for ever.

import type { JupyterFrontEnd } from "@jupyterlab/application";

const SAVE_ALL = "docmanager:save-all";
const DEADLINE = 15_000;

/** Whether everything was saved in time. */
export async function saveAll(app: JupyterFrontEnd): Promise<boolean> {
  const { commands } = app;
  if (!commands.hasCommand(SAVE_ALL) || !commands.isEnabled(SAVE_ALL)) {
    // Nothing that could be saved is open.
    return true;
  }
  const late = new Promise<boolean>((resolve) => setTimeout(() => resolve(false), DEADLINE));
  const saved = Promise.resolve(commands.execute(SAVE_ALL)).then(
    () => true,
    () => false,
  );
  return Promise.race([saved, late]);
}
