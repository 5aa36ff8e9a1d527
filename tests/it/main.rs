//! The integration tests: each drives the built program over its real doors.
//!
//! One binary for all of them, because every test binary links the whole graph. One module a theme; what they share is
//! in `support/`. No test depends on another, on a fixed port or on passing time.

mod support;

mod answer_headers;
mod api_accounts;
mod api_automations;
mod api_dry_runs;
mod api_live;
mod api_people;
mod api_reruns;
mod api_resources;
mod api_versions;
mod audit;
mod backup;
mod bulk;
mod calls_heard_again;
mod canaries;
mod cluster;
mod cluster_faults;
mod cluster_store_faults;
mod crash;
mod crash_days;
mod crash_storm;
mod deals;
mod doctor;
mod gate;
mod house;
mod integrations_sendgrid;
mod integrations_twilio;
mod key_rotation;
mod lead_erasure;
mod lead_erasure_crash;
mod lead_export;
mod lead_imports;
mod lead_merge_erasure;
mod lead_merging;
mod lead_retention;
mod leads_at_once;
mod monitors;
mod number_routing;
mod placed_calls;
mod redaction;
mod redis;
mod room_agents;
mod safety_bodies;
mod safety_tokens;
mod scripts;
mod second_factor;
mod setup_checks;
mod simulate;
mod tenants;
mod traces;
mod twilio_doors;
mod twilio_media;
mod twilio_oracle;
mod webhook_sources;
mod webhooks;
mod workflow_nodes;
