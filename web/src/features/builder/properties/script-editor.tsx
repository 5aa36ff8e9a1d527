import * as monaco from "monaco-editor/editor";
import "monaco-editor/features/bracketMatching/register";
import "monaco-editor/features/clipboard/register";
import "monaco-editor/features/comment/register";
import "monaco-editor/features/find/register";
import "monaco-editor/features/gotoError/register";
import "monaco-editor/features/hover/register";
import "monaco-editor/features/linesOperations/register";
import "monaco-editor/features/parameterHints/register";
import "monaco-editor/features/suggest/register";
import "monaco-editor/features/wordOperations/register";
import "monaco-editor/languages/definitions/javascript/register";
import { javascriptDefaults } from "monaco-editor/languages/features/typescript/register";
import EditorWorker from "monaco-editor/editor/editor.worker?worker";
import TypeScriptWorker from "monaco-editor/languages/features/typescript/ts.worker?worker";
import { useEffect, useRef } from "react";
import { useTranslation } from "react-i18next";
import { Dialog } from "@/components/dialog";
import { useTheme } from "@/lib/theme";

self.MonacoEnvironment = {
  getWorker: (_, label) => (label === "typescript" || label === "javascript" ? new TypeScriptWorker() : new EditorWorker()),
};

/** What a script sees (docs/workflows.md, "Scripts"). */
const GLOBALS = `
interface Lead { id: string; name: string; first_name: string | null; phone: string | null; email: string | null; timezone: string | null; score: number; stage: string; fields: Record<string, any> }
interface Call { id: string; from: string; to: string; direction: 'inbound' | 'outbound'; status: string }
declare const trigger: { type: string; at: string; data: Record<string, any>; excerpt?: string; score?: number; call_id?: string };
declare const lead: Lead | null;
declare const call: Call | null;
declare const steps: Record<string, { output: any }>;
declare const account: { name: string };
declare const now: string;
declare const item: any;
declare const index: number;
`;
/** "A 'return' statement can only be used within a function body": a script is such a body. */
const RETURN_OUTSIDE_FUNCTION = 1108;

javascriptDefaults.addExtraLib(GLOBALS, "patchcord.d.ts");
javascriptDefaults.setCompilerOptions({ target: 99, lib: ["es2023"], allowNonTsExtensions: true, checkJs: true });
javascriptDefaults.setDiagnosticsOptions({ noSemanticValidation: false, noSyntaxValidation: false, diagnosticCodesToIgnore: [RETURN_OUTSIDE_FUNCTION] });

interface ScriptEditorProps {
  value: string;
  onChange: (value: string) => void;
  onClose: () => void;
}

/** JavaScript in a large editor. Loaded after a click only. */
export function ScriptEditor({ value, onChange, onClose }: ScriptEditorProps) {
  const { t } = useTranslation();
  return (
    <Dialog title={t("Script")} text={t("The body of a function: it sees trigger, lead, call, steps, account and now. What it returns is the output.")} isOpen onClose={onClose}>
      <Editor value={value} onChange={onChange} />
    </Dialog>
  );
}

/** A component of its own: the dialog brings its content in after it was drawn itself. */
function Editor({ value, onChange }: Omit<ScriptEditorProps, "onClose">) {
  const { t } = useTranslation();
  const host = useRef<HTMLDivElement>(null);
  const theme = useTheme((state) => state.theme);
  useEffect(() => {
    if (host.current === null) return;
    const editor = monaco.editor.create(host.current, {
      value,
      language: "javascript",
      theme: theme === "dark" ? "vs-dark" : "vs",
      minimap: { enabled: false },
      automaticLayout: true,
      fontSize: 13,
      ariaLabel: t("Script"),
    });
    const listening = editor.onDidChangeModelContent(() => onChange(editor.getValue()));
    return () => {
      listening.dispose();
      editor.getModel()?.dispose();
      editor.dispose();
    };
    // The editor is made once for as long as the dialog is open.
  }, []);
  return <div ref={host} className="h-[50vh] w-full" />;
}
