import { type ColumnDef, flexRender, getCoreRowModel, getSortedRowModel, type SortingState, useReactTable } from "@tanstack/react-table";
import { ArrowDown, ArrowUp } from "lucide-react";
import { type ReactNode, useState } from "react";
import { cn } from "@/lib/cn";
import { useHeldFocus } from "@/lib/focus";

interface DataTableProps<T> {
  label: string;
  rows: T[];
  columns: ColumnDef<T>[];
  idOf: (row: T) => string;
}

interface PlainTableProps {
  label: string;
  heads: string[];
  /** How tall it may get before it scrolls. */
  className: string;
  /** Its rows. */
  children: ReactNode;
}

/** A table that is shown as it is, its heads in sight while it scrolls. */
export function PlainTable({ label, heads, className, children }: PlainTableProps) {
  return (
    <div role="region" aria-label={label} tabIndex={0} className={cn("overflow-auto rounded-lg border", className)}>
      <table className="w-full text-left text-sm">
        <thead className="sticky top-0 bg-panel text-muted">
          <tr>
            {heads.map((head) => (
              <th key={head} scope="col" className="px-3 py-2 font-medium">
                {head}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>{children}</tbody>
      </table>
    </div>
  );
}

/** A time reads in one line, however narrow the table is. */
function isTime(columnId: string): boolean {
  return columnId.endsWith("_at");
}

/** A table that sorts by its columns. */
export function DataTable<T>({ label, rows, columns, idOf }: DataTableProps<T>) {
  const [sorting, setSorting] = useState<SortingState>([]);
  const held = useHeldFocus<HTMLDivElement>();
  const table = useReactTable({
    data: rows,
    columns,
    state: { sorting },
    onSortingChange: setSorting,
    getRowId: idOf,
    getCoreRowModel: getCoreRowModel(),
    getSortedRowModel: getSortedRowModel(),
  });
  return (
    <div ref={held} className="relative overflow-x-auto rounded-lg border" tabIndex={0} role="region" aria-label={label}>
      <table className="w-full text-left text-sm">
        <caption className="sr-only">{label}</caption>
        <thead className="bg-panel text-muted">
          {table.getHeaderGroups().map((group) => (
            <tr key={group.id}>
              {group.headers.map((header) => {
                const sorted = header.column.getIsSorted();
                return (
                  <th key={header.id} scope="col" aria-sort={sorted === "asc" ? "ascending" : sorted === "desc" ? "descending" : undefined} className="px-3 py-2 font-medium whitespace-nowrap">
                    {header.column.getCanSort() ? (
                      <button type="button" onClick={header.column.getToggleSortingHandler()} className="inline-flex items-center gap-1">
                        {flexRender(header.column.columnDef.header, header.getContext())}
                        {sorted === "asc" && <ArrowUp size={12} aria-hidden />}
                        {sorted === "desc" && <ArrowDown size={12} aria-hidden />}
                      </button>
                    ) : (
                      flexRender(header.column.columnDef.header, header.getContext())
                    )}
                  </th>
                );
              })}
            </tr>
          ))}
        </thead>
        <tbody>
          {table.getRowModel().rows.map((row) => (
            <tr key={row.id} className="border-t hover:bg-panel">
              {row.getVisibleCells().map((cell) => (
                <td key={cell.id} className={cn("px-3 py-2 align-middle", isTime(cell.column.id) && "whitespace-nowrap")}>
                  {flexRender(cell.column.columnDef.cell, cell.getContext())}
                </td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}
