//! `stripe_credit`: puts money on a customer's balance.

use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::{
    kind::{Action, Entered, Node, NodeError, NodeKind, Scene, read},
    source::{Source, Template},
};
use crate::workflows::{
    effect::{Credit, Request},
    problem::Problem,
};

/// Most a run may give away at once, in minor units.
pub(super) const AMOUNT_MAX: u64 = 100_000_000;

pub(super) struct StripeCredit;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Params {
    customer: Option<Template>,
    amount: Amount,
    currency: String,
    reason: Option<Template>,
}

/// Minor units as such, or the template that gives them.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Amount {
    Fixed(u64),
    Computed(Template),
}

impl NodeKind for StripeCredit {
    fn name(&self) -> &'static str {
        "stripe_credit"
    }

    fn title(&self) -> &'static str {
        "Credit customer"
    }

    fn schema(&self) -> Value {
        json!({
            "type": "object", "additionalProperties": false, "required": ["amount", "currency"],
            "properties": {
                "amount": {"title": "Amount", "format": "template",
                    "description": "In minor units: 5000 is $50.00; a number, or a template that gives one",
                    "anyOf": [{"type": "integer", "minimum": 1, "maximum": AMOUNT_MAX}, {"type": "string", "minLength": 1}]},
                "currency": {"type": "string", "pattern": "^[a-z]{3}$", "title": "Currency", "description": "For example usd"},
                "customer": {"type": "string", "minLength": 1, "title": "Customer", "format": "template",
                    "description": "Stripe's id (cus_…) or an e-mail address. The lead's e-mail when left out."},
                "reason": {"type": "string", "maxLength": 350, "title": "Reason", "format": "template"}
            }
        })
    }

    fn parse(&self, params: &Map<String, Value>) -> Result<Box<dyn Node>, Vec<Problem>> {
        Ok(Box::new(read::<Params>(params)?))
    }
}

impl Node for Params {
    fn sources(&self) -> Vec<Source<'_>> {
        let amount = match &self.amount {
            Amount::Fixed(_) => None,
            Amount::Computed(template) => Some(template.source("amount")),
        };
        let customer = self.customer.as_ref().map(|customer| customer.source("customer"));
        let reason = self.reason.as_ref().map(|reason| reason.source("reason"));
        [amount, customer, reason].into_iter().flatten().collect()
    }

    fn enter(&self, scene: &Scene<'_>) -> Result<Entered, NodeError> {
        let amount = match &self.amount {
            Amount::Fixed(amount) => *amount,
            Amount::Computed(template) => {
                let text = template.render(scene)?;
                let amount: Option<u64> = text.trim().parse().ok();
                amount
                    .filter(|amount| (1..=AMOUNT_MAX).contains(amount))
                    .ok_or_else(|| {
                        let message =
                            format!("`amount` gave `{text}`: expected 1 to {AMOUNT_MAX} minor units");
                        NodeError::new("bad_amount", message)
                    })?
            }
        };
        let customer = match &self.customer {
            Some(customer) => customer.render_filled(scene, "customer")?.trim().to_owned(),
            None => scene
                .lead
                .and_then(|lead| lead.email.clone())
                .ok_or_else(|| NodeError::new("no_email", "the lead has no e-mail address"))?,
        };
        let credit = Credit {
            customer,
            amount,
            currency: self.currency.clone(),
            reason: self
                .reason
                .as_ref()
                .map(|reason| reason.render(scene))
                .transpose()?
                .unwrap_or_default(),
        };
        Ok(Entered {
            input: json!(credit),
            action: Action::Act(Request::StripeCredit(credit)),
        })
    }
}
