// Every browser test. `node all.mjs NAME` runs one.

import { largeGraph, scriptEditor } from "./builder.mjs";
import { editsSurvive, killedTabs, twoTabs } from "./edits.mjs";
import { inBrowser } from "./harness.mjs";
import { duplicatesMerged, leadEdited, leadErased, leadSearch, leadsImport, recordsEdited, signedOutDelete } from "./leads.mjs";
import { simulatedText, taskByHand, workflowByHand } from "./lists.mjs";
import { firstAdministrator, liveView } from "./live.mjs";
import { everyPage, onThePhone } from "./pages.mjs";
import { builderDialogs, builderParts, deletedAtTheEnd, quoteForLead, staffChanges, stuckRun, waitingRuns, webhookAddress } from "./parts.mjs";
import { builderToLookAt } from "./roles.mjs";
import { agentsView, auditTrail, numbersAndAgents, retention, secondFactor, webhookSource } from "./settings.mjs";
import { emptyPages, failingPages } from "./states.mjs";
import { realValues, severalSteps, stepBehaviour } from "./steps.mjs";
import { supervisorOnCall } from "./supervise.mjs";
import { builderByKeyboard, fromTemplateToMessage, walkByKeyboard } from "./walk.mjs";

const tests = [firstAdministrator, liveView, supervisorOnCall, fromTemplateToMessage, walkByKeyboard, builderByKeyboard, builderToLookAt, editsSurvive, twoTabs, killedTabs, builderParts, builderDialogs, waitingRuns, severalSteps, stepBehaviour, realValues, stuckRun, workflowByHand, taskByHand, simulatedText, deletedAtTheEnd, quoteForLead, leadsImport, leadSearch, duplicatesMerged, leadEdited, leadErased, recordsEdited, signedOutDelete, staffChanges, numbersAndAgents, webhookAddress, webhookSource, secondFactor, auditTrail, retention, agentsView, emptyPages, failingPages, scriptEditor, largeGraph, onThePhone, everyPage];
const wanted = process.argv.slice(2);
await inBrowser(tests.filter((test) => wanted.length === 0 || wanted.includes(test.name)));
