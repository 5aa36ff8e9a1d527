//! `sheet_row`: appends a row to a sheet.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::{
    kind::{Action, Entered, Node, NodeError, NodeKind, Scene, read},
    source::{Source, Template},
    values,
};
use crate::workflows::{
    effect::{self, Cells, InDoubt, Request},
    problem::Problem,
};

pub(super) struct SheetRow;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Params {
    spreadsheet: Template,
    sheet: Option<Template>,
    values: Written,
    #[serde(default)]
    in_doubt: InDoubt,
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Written {
    InOrder(Vec<Value>),
    Named(BTreeMap<String, Value>),
}

impl NodeKind for SheetRow {
    fn name(&self) -> &'static str {
        "sheet_row"
    }

    fn title(&self) -> &'static str {
        "Add sheet row"
    }

    fn schema(&self) -> Value {
        let cell = json!({"type": ["string", "number", "boolean", "null"]});
        json!({
            "type": "object", "additionalProperties": false, "required": ["spreadsheet", "values"],
            "properties": {
                "spreadsheet": {"type": "string", "minLength": 1, "title": "Document", "format": "template",
                    "description": "Its address, or the id in it"},
                "sheet": {"type": "string", "minLength": 1, "title": "Sheet", "format": "template",
                    "description": "The first when left out"},
                "values": {"title": "Values", "description": "By the names in the first row, or in order; texts are templates",
                    "anyOf": [{"type": "object", "minProperties": 1, "maxProperties": 200, "additionalProperties": cell},
                        {"type": "array", "minItems": 1, "maxItems": 200, "items": cell}]},
                "in_doubt": {"type": "string", "enum": ["resend", "ask", "drop"], "default": "resend",
                    "title": "When nobody can say whether it was written"}
            }
        })
    }

    fn parse(&self, params: &Map<String, Value>) -> Result<Box<dyn Node>, Vec<Problem>> {
        Ok(Box::new(read::<Params>(params)?))
    }
}

impl Node for Params {
    fn sources(&self) -> Vec<Source<'_>> {
        let mut sources = vec![self.spreadsheet.source("spreadsheet")];
        sources.extend(self.sheet.as_ref().map(|sheet| sheet.source("sheet")));
        match &self.values {
            Written::InOrder(cells) => {
                for (at, cell) in cells.iter().enumerate() {
                    values::texts_of(&format!("values[{at}]"), cell, &mut sources);
                }
            }
            Written::Named(cells) => {
                for (name, cell) in cells {
                    values::texts_of(&format!("values.{name}"), cell, &mut sources);
                }
            }
        }
        sources
    }

    fn enter(&self, scene: &Scene<'_>) -> Result<Entered, NodeError> {
        let cells = match &self.values {
            Written::InOrder(cells) => Cells::InOrder(
                cells
                    .iter()
                    .map(|cell| values::rendered(cell, scene))
                    .collect::<Result<_, _>>()?,
            ),
            Written::Named(cells) => Cells::Named(
                cells
                    .iter()
                    .map(|(name, cell)| Ok((name.clone(), values::rendered(cell, scene)?)))
                    .collect::<Result<_, NodeError>>()?,
            ),
        };
        let row = effect::SheetRow {
            spreadsheet: document(&self.spreadsheet.render_filled(scene, "spreadsheet")?),
            sheet: self
                .sheet
                .as_ref()
                .map(|sheet| sheet.render_filled(scene, "sheet"))
                .transpose()?,
            cells,
        };
        Ok(Entered {
            input: json!(row),
            action: Action::Act(Request::SheetRow(row)),
        })
    }

    fn in_doubt(&self) -> InDoubt {
        self.in_doubt
    }
}

/// The id in a document's address, `…/spreadsheets/d/<id>/edit`; any other text as it is.
fn document(text: &str) -> String {
    let text = text.trim();
    let id = text
        .split_once("/spreadsheets/d/")
        .and_then(|(_, rest)| rest.split(['/', '?', '#']).next());
    id.unwrap_or(text).to_owned()
}
