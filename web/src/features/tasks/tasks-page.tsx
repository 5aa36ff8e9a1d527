import { useMutation, useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { Pencil, Plus } from "lucide-react";
import { useState } from "react";
import { useTranslation } from "react-i18next";
import { StatusBadge } from "@/components/badge";
import { Button } from "@/components/button";
import { Dialog } from "@/components/dialog";
import { HeldList } from "@/components/held-list";
import { LeadLink } from "@/components/lead-link";
import { Page } from "@/components/page";
import { Answer, Empty } from "@/components/states";
import { api, body, type Schemas } from "@/lib/api";
import { keys, queryClient } from "@/lib/query";
import { toastError } from "@/lib/toast";
import { dateTime } from "@/lib/words";
import { TaskForm } from "./task-form";

type Task = Schemas["Task"];

export function TasksPage() {
  const { t } = useTranslation();
  const [areDoneShown, setAreDoneShown] = useState(false);
  const [edited, setEdited] = useState<Task | "new" | null>(null);
  const close = () => setEdited(null);
  const query = useQuery({ queryKey: keys.tasks, queryFn: () => body(api.GET("/api/tasks", { params: { query: { limit: 200 } } })) });
  const add = (
    <Button look="primary" onClick={() => setEdited("new")}>
      <Plus size={16} aria-hidden />
      {t("New task")}
    </Button>
  );
  const toggle = (
    <Button aria-pressed={areDoneShown} onClick={() => setAreDoneShown(!areDoneShown)}>
      {areDoneShown ? t("Hide what is done") : t("Show what is done")}
    </Button>
  );
  return (
    <Page title={t("Tasks")} text={t("What people have to do.")} actions={<>{toggle}{add}</>}>
      <Answer query={query}>
        {({ items }) => {
          const shown = items.filter((task) => areDoneShown || task.status === "open").sort(byDue);
          if (shown.length === 0) return <Empty title={t("Nothing to do")} text={t("Workflows put tasks here, and so can you.")} action={<Button onClick={() => setEdited("new")}>{t("Write the first one")}</Button>} />;
          return (
            <HeldList className="flex flex-col gap-2">
              {shown.map((task) => (
                <One key={task.id} task={task} onEdit={() => setEdited(task)} />
              ))}
            </HeldList>
          );
        }}
      </Answer>
      <Dialog title={edited === "new" ? t("New task") : t("Edit the task")} isOpen={edited !== null} onClose={close}>
        <TaskForm task={edited === "new" ? null : edited} onSaved={close} />
      </Dialog>
    </Page>
  );
}

function One({ task, onEdit }: { task: Task; onEdit: () => void }) {
  const { t } = useTranslation();
  const change = useMutation({
    mutationFn: (status: Schemas["TaskStatus"]) => body(api.PATCH("/api/tasks/{id}", { params: { path: { id: task.id } }, body: { status } })),
    onError: toastError,
    onSettled: () => queryClient.invalidateQueries({ queryKey: keys.tasks }),
  });
  const isDone = task.status === "done";
  const isLate = !isDone && task.due_at && Date.parse(task.due_at) < Date.now();
  return (
    <li className="flex flex-wrap items-center gap-3 rounded-lg border p-3">
      <input type="checkbox" className="size-4 accent-primary" aria-label={t("Done: {{title}}", { title: task.title })} checked={isDone} disabled={change.isPending} onChange={() => change.mutate(isDone ? "open" : "done")} />
      <div className="min-w-48 flex-1">
        <p className={isDone ? "text-muted line-through" : "font-medium"}>{task.title}</p>
        {task.notes && <p className="whitespace-pre-line text-muted">{task.notes}</p>}
      </div>
      {task.priority !== "normal" && <StatusBadge status={task.priority} />}
      {task.due_at && <span className={isLate ? "text-danger" : "text-muted"}>{t("due {{at}}", { at: dateTime(task.due_at) })}</span>}
      {task.lead_id && <LeadLink id={task.lead_id} />}
      {task.run_id && (
        <Link to="/runs/$runId" params={{ runId: task.run_id }} className="text-primary underline">
          {t("Run")}
        </Link>
      )}
      <Button look="quiet" isIcon aria-label={t("Edit {{name}}", { name: task.title })} onClick={onEdit}>
        <Pencil size={14} aria-hidden />
      </Button>
    </li>
  );
}

function byDue(one: Task, other: Task): number {
  return (one.due_at ?? "9").localeCompare(other.due_at ?? "9");
}
