//! Behaviour over real sockets: the exporter as its own process, the simulator as its upstream.
//!
//! One binary, a module a topic. Tests wait for states, never for time; ports are free ones; nothing leaves loopback.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on should say where")]
#![allow(unreachable_pub, reason = "nothing of a test binary is reachable from elsewhere")]

mod support;
mod peers;
mod browser;
mod upstream_support;
mod web_support;

mod main_job;
mod commands;
mod compose;
mod documented_commands;
mod demo;
mod scrape_once;
mod prometheus;
mod service;
mod observing;
mod dashboards;
mod packaged;
mod settings;
mod flags;
mod accounts;
mod reload;
mod secrets;
mod panics;
mod lifecycle;
mod state_file;
mod serving;
mod crowds;
mod reverse_proxies;
mod chaos;
mod client_clock;
mod auxiliary_collectors;
mod clock;
mod account;
mod check;
mod credentials_agency;
mod credentials_hung_files;
mod credentials_memory;
mod credentials_proxies;
mod credentials_refusals;
mod credentials_rotation;
mod credentials_signing;
mod credentials_sources;
mod landing;
mod log;
mod manual;
mod memory_limit;
mod exposition;
mod tags;
mod tags_truth;
mod reclaim;
mod report;
mod retention;
mod artifacts;
mod upstream_bodies;
mod upstream_connections;
mod upstream_dead_connections;
mod upstream_listing;
mod upstream_namespaces;
mod upstream_tls;
mod web_config_file;
mod web_tls;
mod web_clients;
mod web_reload;
mod web_http2;
mod web_logins;
