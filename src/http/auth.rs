//! Who is calling: bearer tokens of signed-in people, API keys of programs, tickets where no header can be sent.
//!
//! In: the `Authorization` header. Out: a [`Caller`] with account, person and role, or 401. Nothing is taken from cookies,
//! so no other site can make a browser act for its user. Tokens are opaque (docs/adr/0003): what is not in the store opens
//! nothing, from the moment it is gone.

pub mod cache;
pub mod password;
pub mod permission;
pub mod second_factor;
pub mod session;
pub mod setup;
pub mod throttle;
pub mod ticket;
pub mod token;
pub mod webhook;

use std::{net::SocketAddr, sync::Arc, time::Duration};

use axum::{
    extract::{ConnectInfo, FromRequestParts},
    http::{HeaderMap, header, request::Parts},
};

use self::{
    cache::{LIFE_ALONE, LIFE_AMONG_NODES, TokenCache},
    permission::Permission,
    setup::SetupDoor,
    throttle::Throttle,
    ticket::TicketOffice,
    token::{Shown, TokenHash, TokenKind},
};
use super::{context::Context, error::ApiError};
use crate::{
    bus::redis::{
        Redis,
        allowance::Allowances,
        revocations::{self, Revoked},
        tickets,
    },
    clock,
    domain::{
        ids::{AccountId, KeyId, SessionId, UserId},
        secret::Secret,
        time::Timestamp,
    },
    store::{Store, StoreError, accounts::Role, webhooks::IncomingWebhook},
};

/// Who makes a request, and by what right.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    pub account_id: AccountId,
    pub user_id: UserId,
    pub role: Role,
    pub via: Via,
}

/// What opened the door.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Via {
    Session(SessionId),
    Key(KeyId),
}

/// Word between nodes for whoever came by anything.
const EVERYBODY: &str = "*";

impl Via {
    /// As word between nodes.
    fn to_text(self) -> String {
        match self {
            Self::Session(id) => id.to_string(),
            Self::Key(id) => id.to_string(),
        }
    }

    /// Reads what [`Self::to_text`] wrote.
    fn from_text(text: &str) -> Option<Self> {
        let session = text.parse().ok().map(Self::Session);
        session.or_else(|| text.parse().ok().map(Self::Key))
    }
}

impl TokenCache<Caller> {
    /// Heeds what another node says. Word that cannot be read may mean anybody.
    fn hear(&self, word: &Revoked) {
        match word {
            Revoked::One(name) => match Via::from_text(name) {
                Some(via) => self.forget(|caller| caller.via == via),
                None => self.clear(),
            },
            Revoked::Anything => self.clear(),
        }
    }
}

/// Everything that decides who comes in. Cheap to clone.
#[derive(Clone)]
pub struct Gate {
    parts: Arc<GateParts>,
    pub setup: SetupDoor,
}

struct GateParts {
    store: Store,
    /// What all nodes share, where there are several.
    redis: Option<Redis>,
    cache: TokenCache<Caller>,
    webhooks: TokenCache<IncomingWebhook>,
    throttle: Throttle,
    /// Opens one WebSocket; holds what was shown to get it.
    live_tickets: TicketOffice<Shown>,
    /// Signs one browser in.
    sign_in_tickets: TicketOffice<UserId>,
}

impl Caller {
    /// Checks the one table of who may do what.
    ///
    /// # Errors
    /// [`ApiError::RoleTooLow`] when the role does not reach.
    pub fn must(&self, permission: Permission) -> Result<(), ApiError> {
        let needed = permission.least_role();
        if self.role >= needed {
            Ok(())
        } else {
            Err(ApiError::RoleTooLow { needed })
        }
    }

    /// Whether the caller may act on somebody of this role, or give it.
    ///
    /// # Errors
    /// [`ApiError::RoleTooLow`] when the role is above the caller's own.
    pub fn must_reach(&self, role: Role) -> Result<(), ApiError> {
        if role > self.role {
            return Err(ApiError::RoleTooLow { needed: role });
        }
        Ok(())
    }
}

impl Gate {
    /// A gate before `store`, with a closed setup door. With a Redis it is one of many: what ends on one node ends on all.
    /// `webhook_events_per_s` is what one incoming webhook takes in on this node; 0: no bound.
    #[must_use]
    pub fn new(store: Store, redis: Option<Redis>, webhook_events_per_s: u32) -> Self {
        let life = if redis.is_some() {
            LIFE_AMONG_NODES
        } else {
            LIFE_ALONE
        };
        let parts = Arc::new(GateParts {
            store,
            redis: redis.clone(),
            cache: TokenCache::new(life),
            webhooks: TokenCache::new(life),
            throttle: Throttle::new(redis.clone().map(Allowances::new), webhook_events_per_s),
            live_tickets: TicketOffice::default(),
            sign_in_tickets: TicketOffice::default(),
        });
        if let Some(redis) = redis {
            let hearing = Arc::downgrade(&parts);
            revocations::listen(redis, move |word| {
                if let Some(parts) = hearing.upgrade() {
                    parts.cache.hear(&word);
                }
            });
        }
        Self {
            parts,
            setup: SetupDoor::default(),
        }
    }

    /// Returns whom a token or key belongs to.
    ///
    /// # Errors
    /// [`ApiError::Unauthenticated`] for anything that opens nothing, [`ApiError::Unavailable`] when that cannot be known.
    pub async fn caller_of(&self, token: &str) -> Result<Caller, ApiError> {
        self.caller_by(Shown::of(token).ok_or(ApiError::Unauthenticated)?)
            .await
    }

    /// Returns whom a token belongs to that was shown before.
    ///
    /// # Errors
    /// As for [`Self::caller_of`].
    pub async fn caller_by(&self, shown: Shown) -> Result<Caller, ApiError> {
        let Shown { kind, hash } = shown;
        let now = clock::now();
        if let Some(caller) = self.parts.cache.get(&hash, now) {
            return Ok(caller);
        }
        let (caller, valid_until) = match kind {
            TokenKind::Access => self.session_caller(hash, now).await?,
            TokenKind::Key => (self.key_caller(hash).await?, None),
            TokenKind::Refresh | TokenKind::Ticket | TokenKind::Setup | TokenKind::Webhook => {
                return Err(ApiError::Unauthenticated);
            }
        };
        self.parts.cache.put(hash, caller.clone(), now, valid_until);
        Ok(caller)
    }

    /// Forgets at once whoever came by `via`, here and on every node that hears of it.
    pub async fn forget(&self, via: Via) {
        self.parts.cache.forget(|caller| caller.via == via);
        self.tell(&via.to_text()).await;
    }

    /// Forgets everybody, here and on every node that hears of it: the next request of each is looked up again.
    pub async fn forget_everybody(&self) {
        self.parts.cache.clear();
        self.tell(EVERYBODY).await;
    }

    async fn tell(&self, name: &str) {
        if let Some(redis) = &self.parts.redis
            && let Err(fault) = revocations::tell(redis, name).await
        {
            tracing::warn!(%fault, "other nodes notice within a second by themselves that a session has ended");
        }
    }

    /// The allowances for guessing.
    #[must_use]
    pub fn throttle(&self) -> &Throttle {
        &self.parts.throttle
    }

    /// Hands out a ticket that opens one WebSocket on any node; on this one only while Redis does not answer.
    ///
    /// # Errors
    /// [`ApiError::Internal`] when no random bytes can be had.
    pub async fn issue_live_ticket(
        &self,
        shown: Shown,
        now: Timestamp,
        life: Duration,
    ) -> Result<Secret, ApiError> {
        if let Some(redis) = &self.parts.redis {
            let ticket = token::draw(TokenKind::Ticket)?;
            let name = ticket::name_of(ticket.expose());
            match tickets::keep(redis, &name, &shown.to_text(), life).await {
                Ok(()) => return Ok(ticket),
                Err(fault) => tracing::warn!(%fault, "a ticket works on this node only"),
            }
        }
        self.parts.live_tickets.issue(shown, now, life)
    }

    /// Takes a ticket for the live stream and returns what it was given for.
    ///
    /// # Errors
    /// [`ApiError::Unauthenticated`] when it is unknown, used or over.
    pub async fn redeem_live_ticket(&self, ticket: &str, now: Timestamp) -> Result<Shown, ApiError> {
        if let Some(redis) = &self.parts.redis {
            match tickets::take(redis, &ticket::name_of(ticket)).await {
                Ok(Some(holder)) => return Shown::from_text(&holder).ok_or(ApiError::Unauthenticated),
                Ok(None) => {}
                Err(fault) => tracing::warn!(%fault, "a ticket is looked for on this node only"),
            }
        }
        let redeemed = self.parts.live_tickets.redeem(ticket, now);
        redeemed.ok_or(ApiError::Unauthenticated)
    }

    /// Tickets that sign one browser in each.
    #[must_use]
    pub fn sign_in_tickets(&self) -> &TicketOffice<UserId> {
        &self.parts.sign_in_tickets
    }

    async fn session_caller(
        &self,
        hash: TokenHash,
        now: Timestamp,
    ) -> Result<(Caller, Option<Timestamp>), ApiError> {
        let session = self.parts.store.accounts.session_by_access(hash).await?;
        let session = session
            .filter(|session| session.access_until > now)
            .ok_or(ApiError::Unauthenticated)?;
        let role = self.role_of(session.user_id).await?;
        let via = Via::Session(session.id);
        let caller = Caller {
            account_id: session.account_id,
            user_id: session.user_id,
            role,
            via,
        };
        Ok((caller, Some(session.access_until)))
    }

    async fn key_caller(&self, hash: TokenHash) -> Result<Caller, ApiError> {
        let key = self
            .parts
            .store
            .accounts
            .key_by_hash(hash)
            .await?
            .ok_or(ApiError::Unauthenticated)?;
        // A key never reaches further than the person who made it.
        let role = key.role.min(self.role_of(key.user_id).await?);
        Ok(Caller {
            account_id: key.account_id,
            user_id: key.user_id,
            role,
            via: Via::Key(key.id),
        })
    }

    async fn role_of(&self, user_id: UserId) -> Result<Role, ApiError> {
        match self.parts.store.accounts.user(user_id).await {
            Ok(user) => Ok(user.role),
            Err(StoreError::Missing { .. }) => Err(ApiError::Unauthenticated),
            Err(error) => Err(error.into()),
        }
    }
}

impl FromRequestParts<Context> for Caller {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, context: &Context) -> Result<Self, ApiError> {
        if let Some(caller) = parts.extensions.get::<Self>() {
            return Ok(caller.clone());
        }
        let token = bearer(&parts.headers).ok_or(ApiError::Unauthenticated)?;
        let caller = context.gate.caller_of(token).await?;
        parts.extensions.insert(caller.clone());
        Ok(caller)
    }
}

/// The address a request came from, as far as the listener tells.
#[derive(Debug, Clone, Copy)]
pub struct Origin(pub Option<std::net::IpAddr>);

impl<S: Send + Sync> FromRequestParts<S> for Origin {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Self::Rejection> {
        let peer = parts.extensions.get::<ConnectInfo<SocketAddr>>();
        Ok(Self(peer.map(|ConnectInfo(address)| address.ip())))
    }
}

/// The token of an `Authorization: Bearer …` header. More than one such header is none.
#[must_use]
pub fn bearer(headers: &HeaderMap) -> Option<&str> {
    let mut all = headers.get_all(header::AUTHORIZATION).iter();
    let (Some(only), None) = (all.next(), all.next()) else {
        return None;
    };
    let (scheme, token) = only.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    #[test]
    fn only_one_bearer_header_counts() {
        let mut headers = HeaderMap::new();
        assert_eq!(bearer(&headers), None);
        headers.insert(header::AUTHORIZATION, HeaderValue::from_static("Basic pca_x"));
        assert_eq!(bearer(&headers), None);
        headers.insert(header::AUTHORIZATION, HeaderValue::from_static("bearer pca_x"));
        assert_eq!(bearer(&headers), Some("pca_x"));
        headers.append(header::AUTHORIZATION, HeaderValue::from_static("Bearer pca_y"));
        assert_eq!(bearer(&headers), None);
    }

    #[test]
    fn a_role_reaches_what_lies_below_it() {
        let via = Via::Key(KeyId::fresh());
        let agent = Caller {
            account_id: AccountId::fresh(),
            user_id: UserId::fresh(),
            role: Role::Agent,
            via,
        };
        assert!(agent.must(Permission::Read).is_ok());
        assert!(agent.must(Permission::EditWorkflows).is_err());
        let owner = Caller {
            role: Role::Owner,
            ..agent
        };
        assert!(owner.must(Permission::EditWorkflows).is_ok());
    }
}
