//! Where a call goes: what the called number's routing says, else the configuration.
//!
//! In: a request for instructions. Out: a route, in the time that a caller waits; a store that is slow or away means the configuration's.

use std::time::Duration;

use super::{
    request::{TwilioRequest, account},
    routing::Route,
};
use crate::{
    clock,
    domain::{
        agent::{Agent, in_turn},
        ids::{AccountId, AgentId, CallSid},
        number::{Number, NumberRouting},
        phone::PhoneNumber,
        resource::{Resource as _, ResourceKind},
    },
    http::context::Context,
    integrations::twilio::doors,
    store::{
        PageRequest, StoreError, StoreResult,
        resources::{ResourceAddress, ResourceFilter},
    },
};

/// Most agents that one caller waits for, one after the other.
const TRIES_MAX: u32 = 3;
/// Agents that are looked at for one call.
const AGENTS_MAX: u32 = 200;

/// How a call is put through.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Way {
    pub route: Route,
    /// In a room of its own.
    pub is_supervised: bool,
}

/// Whom a caller has waited for.
#[derive(Debug, Clone, Copy)]
struct Asked {
    tries: u32,
    /// Nobody is asked twice in a row.
    last: Option<AgentId>,
}

/// Finds the route of a call to one of our numbers. `None` when the number is not listed, or it is not known in time.
pub async fn of_call(context: &Context, request: &TwilioRequest, patience: Duration) -> Option<Way> {
    let call = request.call().ok()?;
    let to: PhoneNumber = request.get("To")?.parse().ok()?;
    let tries = request.query(doors::TRIES).and_then(|tries| tries.parse().ok());
    let asked = Asked {
        tries: tries.unwrap_or(0),
        last: request.query(doors::AGENT).and_then(|id| id.parse().ok()),
    };
    let looked = tokio::time::timeout(patience, look(context, &to, &call, asked)).await;
    match looked {
        Ok(Ok(route)) => route,
        Ok(Err(error)) => {
            tracing::warn!(%error, %call, "a number's routing cannot be read: the configuration's holds");
            None
        }
        Err(_) => {
            metrics::counter!("patchcord_twilio_routed_by_default_total").increment(1);
            tracing::warn!(%call, "a number's routing was not read in time: the configuration's holds");
            None
        }
    }
}

/// Notes that the leg to an agent has ended.
pub async fn freed(context: &Context, id: AgentId, call: &CallSid) {
    let Ok(account_id) = account(context).await else {
        return;
    };
    let freed = context
        .resources
        .change((account_id, *id.as_bytes()), |agent: &Agent| {
            let after = agent.freed(call.as_str(), clock::now());
            Ok::<_, StoreError>((after != *agent).then_some(after))
        })
        .await;
    if let Err(error) = freed {
        tracing::warn!(%error, agent_id = %id, "an agent counts as busy for longer than they are");
    }
}

async fn look(context: &Context, to: &PhoneNumber, call: &CallSid, asked: Asked) -> StoreResult<Option<Way>> {
    // Without an account there are no numbers.
    let Ok(account_id) = account(context).await else {
        return Ok(None);
    };
    let Some(number) = listed(context, account_id, to).await? else {
        return Ok(None);
    };
    let is_supervised = number.supervision;
    let route = match number.routing {
        NumberRouting::Dial { to } => Route::Dial(to.to_string()),
        NumberRouting::Record {} => Route::Record,
        NumberRouting::Agents { .. } if asked.tries >= TRIES_MAX => Route::Record,
        NumberRouting::Agents { skill, choice } => {
            let mut agents = available(context, account_id).await?;
            free_if_over(context, &mut agents).await;
            agents.retain(|agent| Some(agent.id) != asked.last);
            let agents = in_turn(agents, skill.as_deref(), choice, clock::now());
            give(context, call, agents, asked.tries).await?
        }
    };
    Ok(Some(Way { route, is_supervised }))
}

/// Whether calls from a number of ours are put through in a room of their own; as the configuration says for one that is not
/// listed, and when it is not known in time.
pub async fn is_supervised(context: &Context, ours: &str, patience: Duration) -> bool {
    let look = async {
        let (Ok(account_id), Ok(ours)) = (account(context).await, ours.parse()) else {
            return Ok(None);
        };
        listed(context, account_id, &ours).await
    };
    match tokio::time::timeout(patience, look).await {
        Ok(Ok(Some(number))) => number.supervision,
        Ok(Ok(None)) => context.twilio.supervision,
        Ok(Err(_)) | Err(_) => {
            tracing::warn!("a number's supervision was not read in time: the configuration's holds");
            context.twilio.supervision
        }
    }
}

async fn listed(
    context: &Context,
    account_id: AccountId,
    phone: &PhoneNumber,
) -> StoreResult<Option<Number>> {
    let address = ResourceAddress {
        account_id,
        kind: ResourceKind::Number,
        id: *Number::id_of(account_id, phone).as_bytes(),
    };
    match context.store.resources.get(address).await {
        Ok(row) => row.read().map(Some),
        Err(StoreError::Missing { .. }) => Ok(None),
        Err(error) => Err(error),
    }
}

async fn available(context: &Context, account_id: AccountId) -> StoreResult<Vec<Agent>> {
    let filter = ResourceFilter {
        state: Some(crate::domain::agent::AgentStatus::Available.as_str().to_owned()),
        ..ResourceFilter::all(ResourceKind::Agent)
    };
    let page = PageRequest {
        limit: AGENTS_MAX,
        cursor: None,
    };
    let page = context.store.resources.list(account_id, filter, page).await?;
    page.items
        .iter()
        .map(crate::store::resources::ResourceRow::read)
        .collect()
}

/// Notes of agents who count as being on a call that the call is over: the word of its leg's end may never have come.
async fn free_if_over(context: &Context, agents: &mut [Agent]) {
    let on_calls = agents.iter_mut().filter(|agent| agent.on_call.is_some());
    let looks = on_calls.map(async |agent| {
        let Some(sid) = agent.on_call.clone() else { return };
        let call = context.store.calls.by_sid(agent.account_id, &CallSid::new(sid.clone())).await;
        match call {
            Ok(Some(call)) if call.status.is_terminal() => {
                *agent = agent.freed(&sid, call.ended_at.unwrap_or(call.started_at));
            }
            Ok(_) => (),
            Err(error) => tracing::warn!(%error, agent_id = %agent.id, "an agent's call cannot be read: they count as busy"),
        }
    });
    futures_util::future::join_all(looks).await;
}

/// Frees whoever was given a call that is over.
pub async fn over(context: &Context, call: &CallSid) {
    let freed = async {
        // Without an account there are no agents.
        let Ok(account_id) = account(context).await else {
            return Ok(());
        };
        for agent in available(context, account_id).await? {
            if agent.on_call.as_deref() == Some(call.as_str()) {
                let change = |agent: &Agent| {
                    let after = agent.freed(call.as_str(), clock::now());
                    Ok::<_, StoreError>((after != *agent).then_some(after))
                };
                context
                    .resources
                    .change((agent.account_id, agent.key()), change)
                    .await?;
            }
        }
        Ok::<_, StoreError>(())
    };
    if let Err(error) = freed.await {
        tracing::warn!(%error, %call, "whoever was on a call counts as busy until they are given another");
    }
}

/// Gives the call to the first who is still free: two calls at once never ring at one telephone.
async fn give(context: &Context, call: &CallSid, agents: Vec<Agent>, tries: u32) -> StoreResult<Route> {
    for agent in agents {
        let address = (agent.account_id, agent.key());
        let given = context
            .resources
            .change(address, |stored: &Agent| {
                let is_same = stored.revision == agent.revision;
                Ok::<_, StoreError>(is_same.then(|| stored.given(call.as_str(), clock::now())))
            })
            .await?;
        if given.on_call.as_deref() == Some(call.as_str()) {
            return Ok(Route::Agent {
                id: agent.id,
                phone: agent.phone.to_string(),
                tries: tries + 1,
            });
        }
    }
    Ok(Route::Record)
}
