//! Every route of the REST API with its description: what is not listed here does not exist.

use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    account, agents, alerts, appointments, audit, auth, automations, backtests, blocks, call_orders, calls,
    copies, dry_runs, error_catalogue, events, keys, lead_erasure, lead_export, lead_imports, lead_merging,
    leads, me, messages, migrations, monitors, numbers, password, payments, quotes, reruns, runs,
    second_factor, sessions, setup, simulations, tasks, templates, tickets, users, versions,
    webhook_deliveries, webhook_events, webhook_signing, webhook_sources, webhooks, workflows,
};
use crate::http::context::Context;

/// The routes together with their description.
#[must_use]
pub fn router() -> OpenApiRouter<Context> {
    people().merge(work()).merge(automation())
}

fn people() -> OpenApiRouter<Context> {
    OpenApiRouter::new()
        .routes(routes!(auth::register))
        .routes(routes!(auth::login))
        .routes(routes!(auth::refresh))
        .routes(routes!(auth::logout))
        .routes(routes!(auth::redeem_ticket))
        .routes(routes!(password::change))
        .routes(routes!(second_factor::begin))
        .routes(routes!(second_factor::confirm))
        .routes(routes!(second_factor::disable))
        .routes(routes!(second_factor::remove))
        .routes(routes!(sessions::list))
        .routes(routes!(sessions::end))
        .routes(routes!(me::me))
        .routes(routes!(account::get, account::update))
        .routes(routes!(setup::check))
        .routes(routes!(keys::list, keys::create))
        .routes(routes!(keys::delete))
        .routes(routes!(users::list, users::create))
        .routes(routes!(users::update, users::delete))
        .routes(routes!(tickets::create))
        .routes(routes!(audit::list))
        .routes(routes!(audit::verify))
}

fn work() -> OpenApiRouter<Context> {
    OpenApiRouter::new()
        .routes(routes!(leads::list, leads::create))
        .routes(routes!(leads::get, leads::update, leads::delete))
        .routes(routes!(leads::timeline))
        .routes(routes!(lead_export::export))
        .routes(routes!(lead_erasure::erase))
        .routes(routes!(lead_erasure::get))
        .routes(routes!(lead_merging::duplicates))
        .routes(routes!(lead_merging::merge))
        .routes(routes!(lead_imports::create))
        .routes(routes!(lead_imports::list))
        .routes(routes!(lead_imports::get))
        .routes(routes!(calls::list, call_orders::place))
        .routes(routes!(call_orders::hang_up))
        .routes(routes!(monitors::join, monitors::change, monitors::leave))
        .routes(routes!(calls::get))
        .routes(routes!(calls::transcript))
        .routes(routes!(simulations::create))
        .routes(routes!(alerts::list))
        .routes(routes!(alerts::get, alerts::note))
        .routes(routes!(alerts::acknowledge))
        .routes(routes!(tasks::list, tasks::create))
        .routes(routes!(tasks::get, tasks::update))
        .routes(routes!(appointments::list, appointments::create))
        .routes(routes!(
            appointments::get,
            appointments::update,
            appointments::delete
        ))
        .routes(routes!(quotes::list, quotes::create))
        .routes(routes!(quotes::get, quotes::update, quotes::delete))
        .routes(routes!(payments::list, payments::create))
        .routes(routes!(payments::get, payments::update, payments::delete))
        .routes(routes!(agents::list, agents::create))
        .routes(routes!(agents::get, agents::update, agents::delete))
        .routes(routes!(numbers::list, numbers::create))
        .routes(routes!(numbers::get, numbers::update, numbers::delete))
        .routes(routes!(messages::list))
        .routes(routes!(messages::get))
        .routes(routes!(events::report))
        .routes(routes!(webhooks::list, webhooks::create))
        .routes(routes!(webhooks::delete))
        .routes(routes!(webhooks::rotate))
        .routes(routes!(
            webhook_sources::get,
            webhook_sources::put,
            webhook_sources::delete
        ))
        .routes(routes!(webhook_sources::test))
        .routes(routes!(webhook_deliveries::list))
        .routes(routes!(webhook_deliveries::replay))
        .routes(routes!(webhook_signing::show))
        .routes(routes!(webhook_signing::rotate))
        .routes(routes!(webhook_events::receive))
}

fn automation() -> OpenApiRouter<Context> {
    OpenApiRouter::new()
        .routes(routes!(workflows::list, workflows::create))
        .routes(routes!(workflows::create_at_contract_path))
        .routes(routes!(workflows::get, workflows::update, workflows::delete))
        .routes(routes!(workflows::validate))
        .routes(routes!(versions::publish))
        .routes(routes!(versions::list))
        .routes(routes!(versions::get))
        .routes(routes!(versions::restore))
        .routes(routes!(migrations::preview))
        .routes(routes!(migrations::preview_draft))
        .routes(routes!(migrations::migrate))
        .routes(routes!(automations::list_automations))
        .routes(routes!(automations::switch_automation))
        .routes(routes!(blocks::list))
        .routes(routes!(templates::list))
        .routes(routes!(templates::use_template))
        .routes(routes!(copies::clone))
        .routes(routes!(copies::export))
        .routes(routes!(copies::import))
        .routes(routes!(dry_runs::dry_run_workflow))
        .routes(routes!(backtests::backtest_workflow))
        .routes(routes!(workflows::execute))
        .routes(routes!(workflows::history))
        .routes(routes!(runs::list))
        .routes(routes!(runs::get))
        .routes(routes!(runs::cancel))
        .routes(routes!(runs::decide))
        .routes(routes!(reruns::retry))
        .routes(routes!(reruns::signal))
        .routes(routes!(error_catalogue::list))
}
