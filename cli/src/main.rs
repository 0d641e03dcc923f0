//! The `musubi` binary.

mod adapter_command;
mod adapters;
mod api;
mod args;
mod backup;
mod backups;
mod broker_sink;
mod dead_letters;
mod demo;
mod history;
mod nothing_sink;
mod page;
mod parts;
mod replay;
mod restore;
mod schemas;
mod serve;
mod server;
mod services;
mod settings;
mod subscriptions;
mod table;
mod telemetry;
mod verify;

use std::process::ExitCode;

use clap::Parser as _;
use tokio_util::sync::CancellationToken;

use crate::args::{Cli, Command, Export, Import};

/// Memory is freed by other threads than took it here, where the system's allocator is slow.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let cli = Cli::parse();
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return failed(&format!("no runtime: {error}")),
    };
    match runtime.block_on(run(cli.command)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(reason) => failed(&reason),
    }
}

fn failed(reason: &str) -> ExitCode {
    let _ = std::io::Write::write_fmt(&mut std::io::stderr(), format_args!("musubi: {reason}\n"));
    ExitCode::FAILURE
}

async fn run(command: Command) -> Result<(), String> {
    let out = &mut std::io::stdout();
    let shutdown = CancellationToken::new();
    let mut signals = tokio::task::JoinSet::new();
    let ended = shutdown.clone();
    signals.spawn(async move {
        asked_to_end().await;
        ended.cancel();
    });
    match command {
        Command::Serve(serve) => serve::run(serve, out, shutdown).await,
        Command::Demo(demo) => demo::run(demo, out, shutdown).await,
        Command::Adapter(command) => adapter_command::run(command, out, shutdown).await,
        Command::Subscriptions(command) => subscriptions::run(command, out).await,
        Command::DeadLetters(command) => dead_letters::run(command, out).await,
        Command::Backup(command) => backup::run(command, out).await,
        Command::Restore(command) => restore::run(command, out).await,
        Command::Verify(command) => verify::run(command, out).await,
        Command::Export(Export::History(command)) => history::export(command, out, shutdown).await,
        Command::Import(Import::History(command)) => history::import(command, out, shutdown).await,
        Command::Schemas(command) => schemas::run(&command, out),
    }
}

/// Returns when Ctrl-C is pressed, or the system asks the process to end.
async fn asked_to_end() {
    use tokio::signal::unix::{SignalKind, signal};
    match signal(SignalKind::terminate()) {
        Ok(mut terminate) => {
            tokio::select! {
                _ = tokio::signal::ctrl_c() => {}
                _ = terminate.recv() => {}
            }
        }
        Err(_) => {
            let _ = tokio::signal::ctrl_c().await;
        }
    }
}
