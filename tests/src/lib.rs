//! What the end-to-end tests and the demo run on: a real Kubernetes control plane on loopback, a fake
//! AWS that speaks the real one's wire protocol, and the daemon as a process between them.

#![allow(clippy::disallowed_methods, reason = "it runs real programs, in real time")]

mod admission_policy;
pub mod architecture;
pub mod authorities;
#[cfg(test)]
mod behaviour_page;
pub mod chart;
pub mod ci;
pub mod cluster;
pub mod connect_proxy;
pub mod control_plane;
pub mod daemon;
pub mod daemon_image;
pub mod dashboard;
pub mod doc_commands;
pub mod fake_aws;
pub mod fault_proxy;
pub mod helm;
pub mod http_client;
pub mod image;
pub mod image_clients;
pub mod image_registry;
pub mod inventory;
pub mod keyring;
pub mod logs;
mod loopback;
pub mod metrics;
pub mod moto;
pub mod node;
pub mod pods;
pub mod process;
mod program;
pub mod prometheus;
pub mod promql;
pub mod release;
mod run_folder;
pub mod soak;
pub mod tls_front;
pub mod tools;
pub mod wait;
pub mod wall_clock;
