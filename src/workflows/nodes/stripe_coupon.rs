//! `stripe_coupon`: makes a discount that can be given away.

use std::time::Duration;

use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::{
    kind::{Action, Entered, Node, NodeError, NodeKind, Scene, read, sound},
    source::{Source, Template},
    stripe_credit::AMOUNT_MAX,
};
use crate::{
    domain::time::parse_span,
    workflows::{
        effect::{Coupon, CouponLife, Discount, Request},
        problem::Problem,
    },
};

pub(super) struct StripeCoupon;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Params {
    percent_off: Option<f64>,
    amount_off: Option<u64>,
    currency: Option<String>,
    #[serde(default)]
    duration: Lasts,
    months: Option<u32>,
    name: Option<Template>,
    max_redemptions: Option<u32>,
    expires_in: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Lasts {
    #[default]
    Once,
    Repeating,
    Forever,
}

impl NodeKind for StripeCoupon {
    fn name(&self) -> &'static str {
        "stripe_coupon"
    }

    fn title(&self) -> &'static str {
        "Make coupon"
    }

    fn schema(&self) -> Value {
        json!({
            "type": "object", "additionalProperties": false,
            "properties": {
                "percent_off": {"type": "number", "exclusiveMinimum": 0, "maximum": 100, "title": "Percent off"},
                "amount_off": {"type": "integer", "minimum": 1, "maximum": AMOUNT_MAX, "title": "Amount off",
                    "description": "In minor units, instead of percent_off"},
                "currency": {"type": "string", "pattern": "^[a-z]{3}$", "title": "Currency", "description": "Of amount_off"},
                "duration": {"type": "string", "enum": ["once", "repeating", "forever"], "default": "once", "title": "Counts"},
                "months": {"type": "integer", "minimum": 1, "maximum": 36, "title": "Months", "description": "Of repeating"},
                "name": {"type": "string", "minLength": 1, "maxLength": 500, "title": "Name", "format": "template",
                    "description": "Shown to the customer, 40 characters"},
                "max_redemptions": {"type": "integer", "minimum": 1, "maximum": 1_000_000, "default": 1,
                    "title": "How often it may be used"},
                "expires_in": {"type": "string", "format": "span", "title": "Can be used for", "description": "For example 14d"}
            }
        })
    }

    fn parse(&self, params: &Map<String, Value>) -> Result<Box<dyn Node>, Vec<Problem>> {
        let params: Params = read(params)?;
        let mut problems = Vec::new();
        let mut wrong = |field: &str, message: &str, fix: &str| {
            problems.push(Problem::new(field, "bad_params", message, fix));
        };
        if params.percent_off.is_some() == params.amount_off.is_some() {
            let message = "expected either `percent_off` or `amount_off`";
            wrong("percent_off", message, "write percent_off: 10");
        }
        if params.amount_off.is_some() != params.currency.is_some() {
            let message = "`amount_off` and `currency` belong together";
            wrong("currency", message, "write currency: usd beside amount_off");
        }
        if (params.duration == Lasts::Repeating) != params.months.is_some() {
            let message = "`months` says how long `duration: repeating` counts";
            wrong("months", message, "give both or neither");
        }
        if let Some(Err(error)) = params.expires_in.as_deref().map(parse_span) {
            wrong("expires_in", &error.to_string(), "write it like 14d");
        }
        sound(params, problems)
    }
}

impl Node for Params {
    fn sources(&self) -> Vec<Source<'_>> {
        self.name.iter().map(|name| name.source("name")).collect()
    }

    fn enter(&self, scene: &Scene<'_>) -> Result<Entered, NodeError> {
        let discount = match (self.percent_off, self.amount_off, &self.currency) {
            (Some(percent), _, _) => Discount::Percent(percent),
            (None, Some(amount), Some(currency)) => Discount::Amount {
                amount,
                currency: currency.clone(),
            },
            (None, _, _) => return Err(NodeError::new("bad_params", "a coupon takes nothing off")),
        };
        let lasts = match (self.duration, self.months) {
            (Lasts::Once, _) => CouponLife::Once,
            (Lasts::Repeating, months) => CouponLife::Months(months.unwrap_or(1)),
            (Lasts::Forever, _) => CouponLife::Forever,
        };
        let span: Option<Duration> = self
            .expires_in
            .as_deref()
            .map(parse_span)
            .transpose()
            .map_err(|error| NodeError::new("bad_span", error.to_string()))?;
        let name = self
            .name
            .as_ref()
            .map(|name| name.render_filled(scene, "name"))
            .transpose()?
            .unwrap_or_default();
        let coupon = Coupon {
            discount,
            lasts,
            // As much as Stripe takes.
            name: name.chars().take(40).collect(),
            redemptions_max: Some(self.max_redemptions.unwrap_or(1)),
            redeem_by: span.map(|span| scene.now.plus(span)),
        };
        Ok(Entered {
            input: json!(coupon),
            action: Action::Act(Request::StripeCoupon(coupon)),
        })
    }
}
