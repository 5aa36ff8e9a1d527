// Every browser test. `node all.mjs NAME` runs one.

import { largeGraph, scriptEditor } from "./builder.mjs";
import { inBrowser } from "./harness.mjs";
import { firstAdministrator, liveView } from "./live.mjs";
import { everyPage } from "./pages.mjs";
import { builderByKeyboard, editsSurvive, fromTemplateToMessage } from "./walk.mjs";

const tests = [firstAdministrator, liveView, fromTemplateToMessage, builderByKeyboard, editsSurvive, scriptEditor, largeGraph, everyPage];
const wanted = process.argv.slice(2);
await inBrowser(tests.filter((test) => wanted.length === 0 || wanted.includes(test.name)));
