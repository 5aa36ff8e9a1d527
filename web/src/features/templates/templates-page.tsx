import { useMutation, useQuery } from "@tanstack/react-query";
import { useNavigate } from "@tanstack/react-router";
import { lazy, Suspense, useState } from "react";
import { useTranslation } from "react-i18next";
import { Badge } from "@/components/badge";
import { Button } from "@/components/button";
import { Dialog } from "@/components/dialog";
import { Page } from "@/components/page";
import { Answer, Slow } from "@/components/states";
import { api, body, type Schemas } from "@/lib/api";
import { kindsOf, useBlocks } from "@/lib/blocks";
import { readDefinition } from "@/lib/graph/definition";
import { useMay } from "@/lib/me";
import { keys } from "@/lib/query";
import { toastError } from "@/lib/toast";
import { sentence } from "@/lib/words";

type Template = Schemas["Template"];

// The canvas is large and comes with the first preview.
const GraphView = lazy(() => import("@/components/flow/graph-view").then((module) => ({ default: module.GraphView })));

export function TemplatesPage() {
  const { t } = useTranslation();
  const navigate = useNavigate();
  const query = useQuery({ queryKey: keys.templates, queryFn: () => body(api.GET("/api/workflows/templates")), staleTime: Number.POSITIVE_INFINITY });
  const [shown, setShown] = useState<Template | null>(null);
  const mayUse = useMay("admin");
  const use = useMutation({
    mutationFn: (slug: string) => body(api.POST("/api/workflows/templates/{slug}/use", { params: { path: { slug } } })),
    onSuccess: (workflow) => void navigate({ to: "/workflows/$workflowId", params: { workflowId: workflow.id } }),
    onError: toastError,
  });
  return (
    <Page title={t("Templates")} text={t("Whole workflows that run as they are. Use one, change the words, publish it.")}>
      <Answer query={query}>
        {({ items }) => (
          <ul className="grid gap-4 sm:grid-cols-2 xl:grid-cols-3">
            {items.map((template) => (
              <li key={template.slug}>
                <Card template={template} isBusy={use.isPending} onPreview={() => setShown(template)} onUse={mayUse ? () => use.mutate(template.slug) : undefined} />
              </li>
            ))}
          </ul>
        )}
      </Answer>
      <Preview template={shown} onClose={() => setShown(null)} onUse={mayUse ? (slug) => use.mutate(slug) : undefined} />
    </Page>
  );
}

function Card({ template, isBusy, onPreview, onUse }: { template: Template; isBusy: boolean; onPreview: () => void; onUse?: () => void }) {
  const { t } = useTranslation();
  return (
    <article className="flex h-full flex-col gap-3 rounded-lg border p-4">
      <div className="flex items-start justify-between gap-2">
        <h2 className="font-semibold">{template.title}</h2>
        <Badge tone="info">{t(sentence(template.category))}</Badge>
      </div>
      <p className="flex-1 text-muted">{template.description}</p>
      <p className="flex flex-wrap gap-1">
        {template.connects.map((service) => (
          <Badge key={service}>{t(sentence(service))}</Badge>
        ))}
      </p>
      <div className="flex gap-2">
        {onUse && (
          <Button look="primary" disabled={isBusy} onClick={onUse} aria-label={t("Use template {{name}}", { name: template.title })}>
            {t("Use template")}
          </Button>
        )}
        <Button onClick={onPreview} aria-label={t("Preview {{name}}", { name: template.title })}>
          {t("Preview")}
        </Button>
      </div>
    </article>
  );
}

function Preview({ template, onClose, onUse }: { template: Template | null; onClose: () => void; onUse?: (slug: string) => void }) {
  const { t } = useTranslation();
  const blocks = useBlocks();
  if (template === null) return null;
  return (
    <Dialog
      title={template.title}
      text={template.description}
      isOpen
      onClose={onClose}
      footer={
        onUse && (
          <Button look="primary" onClick={() => onUse(template.slug)}>
            {t("Use template")}
          </Button>
        )
      }
    >
      <div className="h-[50vh]">
        <Suspense fallback={<Slow />}>
          <GraphView label={t("Steps of {{name}}", { name: template.title })} definition={readDefinition(template.definition)} kinds={kindsOf(blocks.data)} />
        </Suspense>
      </div>
    </Dialog>
  );
}
