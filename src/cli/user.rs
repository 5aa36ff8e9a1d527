//! `patchcord user`: who may sign in, changed on the machine itself, also while a server runs.
//!
//! A running server looks people up again after 5 s at the latest; with `redis.url` set it is told at once.

use std::{
    io::{self, BufRead as _},
    path::PathBuf,
};

use anyhow::{Context as _, bail};
use clap::Subcommand;
use serde_json::json;

use super::{
    deeds::{self, Done},
    serve::with_runtime,
    storage::Beside,
};
use crate::{
    bus::redis::Redis,
    config::{self, Settings},
    domain::{ids::AccountId, secret::Secret},
    http::{
        auth::{
            Gate, password, second_factor,
            session::{self, NewPerson},
            token,
        },
        error::ApiError,
    },
    store::{
        Store,
        accounts::{Account, Role, User},
    },
};

/// Longest line that is read as a password, in bytes.
const LINE_BYTES_MAX: u64 = 4_096;

/// What is to be done with people.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
    /// A TOML file that overrides the defaults; the environment overrides it.
    #[arg(long, value_name = "FILE", global = true)]
    config: Option<PathBuf>,
    /// The account; the first one of the store when absent.
    #[arg(long, value_name = "ID", global = true)]
    account: Option<AccountId>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Add a person. On an empty store this makes the account, and the person is its owner.
    Add {
        email: String,
        /// agent, supervisor, admin or owner.
        #[arg(long, value_parser = role, default_value = "agent")]
        role: Role,
        #[arg(long, default_value = "")]
        name: String,
        /// Takes the password from the first line of standard input; otherwise one is made and shown once.
        #[arg(long)]
        password_stdin: bool,
    },
    /// Set a person's password. Ends everything they are signed in with; API keys stay.
    Passwd {
        email: String,
        /// Takes the password from the first line of standard input; otherwise one is made and shown once.
        #[arg(long)]
        password_stdin: bool,
    },
    /// Take a person's second factor off, who has lost authenticator and recovery codes. Ends everything they are signed in with.
    SecondFactorOff { email: String },
    /// List the account's people, oldest first.
    List,
}

/// Carries the command out.
///
/// # Errors
/// When a value cannot be used, there is no such person, or the store does not answer.
pub fn run(arguments: Args) -> anyhow::Result<()> {
    let settings = config::load(arguments.config.as_deref())?;
    with_runtime(async move {
        let beside = Beside::open(&settings.store).await?;
        let done = execute(&beside.store, &settings, arguments).await;
        beside.close().await?;
        done
    })
}

async fn execute(store: &Store, settings: &Settings, arguments: Args) -> anyhow::Result<()> {
    let account = match arguments.account {
        Some(id) => Some(store.accounts.account(id).await.context("--account")?),
        None => store.accounts.first_account().await?,
    };
    match arguments.command {
        Command::Add {
            email,
            role,
            name,
            password_stdin,
        } => {
            let chosen = Password::choose(password_stdin)?;
            let person = NewPerson {
                email,
                name,
                password: chosen.secret.clone(),
            };
            let user = add(store, account, person, role).await?;
            deeds::note(store, user.account_id, done("user add", &user)).await?;
            println!("added {} as {}, {}", user.email, word(user.role), user.id);
            chosen.show();
        }
        Command::Passwd {
            email,
            password_stdin,
        } => {
            let chosen = Password::choose(password_stdin)?;
            let user = set_password(store, settings, account, &email, &chosen.secret).await?;
            deeds::note(store, user.account_id, done("user passwd", &user)).await?;
            println!(
                "the password of {} is changed and every sign-in ended",
                user.email
            );
            chosen.show();
        }
        Command::SecondFactorOff { email } => {
            let user = find(store, account, &email).await?;
            second_factor::take_off(store, &user).await?;
            end_sessions(store, settings, &user).await?;
            deeds::note(store, user.account_id, done("user second-factor-off", &user)).await?;
            println!("{} signs in with the password alone", user.email);
        }
        Command::List => {
            let Some(account) = account else {
                println!("nobody: the store is empty");
                return Ok(());
            };
            for user in store.accounts.users(account.id).await? {
                println!(
                    "{:30} {:10} {} {}",
                    user.email,
                    word(user.role),
                    user.id,
                    user.name
                );
            }
        }
    }
    Ok(())
}

/// What the audit log says of it: who the person is, never what they sign in with.
fn done(action: &'static str, user: &User) -> Done {
    Done {
        action,
        subject: Some(user.id.to_string()),
        before: None,
        after: Some(json!({"email": user.email, "name": user.name, "role": user.role})),
    }
}

async fn add(store: &Store, account: Option<Account>, person: NewPerson, role: Role) -> anyhow::Result<User> {
    let Some(account) = account else {
        return session::create_owner(store, "My team", person)
            .await
            .map_err(said);
    };
    let user = session::new_user(account.id, person, role).await.map_err(said)?;
    store.accounts.create_user(user.clone()).await?;
    Ok(user)
}

/// Names every field that does not hold.
fn said(error: ApiError) -> anyhow::Error {
    match error {
        ApiError::Invalid(fields) => {
            let fields: Vec<String> = fields
                .iter()
                .map(|error| format!("{}: {}", error.field, error.message))
                .collect();
            anyhow::anyhow!(fields.join("; "))
        }
        error => error.into(),
    }
}

async fn set_password(
    store: &Store,
    settings: &Settings,
    account: Option<Account>,
    email: &str,
    password: &Secret,
) -> anyhow::Result<User> {
    let user = find(store, account, email).await?;
    if let Some(flaw) = password::flaw(password, &user.email) {
        bail!("password: {flaw}");
    }
    let hash = password::hash(password).await?;
    store.accounts.set_password(user.id, hash).await?;
    end_sessions(store, settings, &user).await?;
    Ok(user)
}

/// The account's person with this e-mail address.
async fn find(store: &Store, account: Option<Account>, email: &str) -> anyhow::Result<User> {
    let email = session::normal_email(email).context("EMAIL: expected an e-mail address")?;
    let found = store.accounts.user_by_email(&email).await?;
    let user = found.filter(|user| account.is_some_and(|account| account.id == user.account_id));
    let Some(user) = user else {
        bail!("EMAIL: the account has nobody with {email}; `patchcord user list` shows who there is");
    };
    Ok(user)
}

/// Ends everything that a person is signed in with, also on a server that runs.
async fn end_sessions(store: &Store, settings: &Settings, user: &User) -> anyhow::Result<()> {
    let url = settings.redis.url.expose();
    let redis = if url.is_empty() {
        None
    } else {
        Some(Redis::new(url)?)
    };
    Gate::new(store.clone(), redis, 0)
        .end_sessions_of(user.id)
        .await?;
    Ok(())
}

/// A password that was given, or made here.
struct Password {
    secret: Secret,
    is_made: bool,
}

impl Password {
    fn choose(from_stdin: bool) -> anyhow::Result<Self> {
        if !from_stdin {
            return Ok(Self {
                secret: token::draw_password()?,
                is_made: true,
            });
        }
        let mut line = String::new();
        io::Read::take(io::stdin().lock(), LINE_BYTES_MAX)
            .read_line(&mut line)
            .context("the password cannot be read from standard input")?;
        Ok(Self {
            secret: Secret::new(line.trim_end_matches(['\r', '\n']).to_owned()),
            is_made: false,
        })
    }

    /// Shows what nobody else knows.
    fn show(&self) {
        if self.is_made {
            println!("password, shown once: {}", self.secret.expose());
        }
    }
}

fn role(text: &str) -> Result<Role, String> {
    serde_json::from_value(text.into()).map_err(|_| "expected agent, supervisor, admin or owner".to_owned())
}

const fn word(role: Role) -> &'static str {
    match role {
        Role::Agent => "agent",
        Role::Supervisor => "supervisor",
        Role::Admin => "admin",
        Role::Owner => "owner",
    }
}
