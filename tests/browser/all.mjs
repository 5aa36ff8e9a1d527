// Every browser test. `node all.mjs NAME` runs one.

import { largeGraph, scriptEditor } from "./builder.mjs";
import { editsSurvive, killedTabs, twoTabs } from "./edits.mjs";
import { inBrowser } from "./harness.mjs";
import { firstAdministrator, liveView } from "./live.mjs";
import { everyPage } from "./pages.mjs";
import { builderParts, deletedAtTheEnd, quoteForLead, staffChanges, stuckRun, waitingRuns, webhookAddress } from "./parts.mjs";
import { emptyPages, failingPages } from "./states.mjs";
import { builderByKeyboard, fromTemplateToMessage, walkByKeyboard } from "./walk.mjs";

const tests = [firstAdministrator, liveView, fromTemplateToMessage, walkByKeyboard, builderByKeyboard, editsSurvive, twoTabs, killedTabs, builderParts, waitingRuns, stuckRun, deletedAtTheEnd, quoteForLead, staffChanges, webhookAddress, emptyPages, failingPages, scriptEditor, largeGraph, everyPage];
const wanted = process.argv.slice(2);
await inBrowser(tests.filter((test) => wanted.length === 0 || wanted.includes(test.name)));
