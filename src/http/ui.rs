//! The pages in the browser: the live view and the first administrator's page, built in, loading nothing from elsewhere.

use axum::{
    Router,
    http::{HeaderValue, header},
    response::{IntoResponse, Response},
    routing::get,
};

use super::context::Context;

/// Only our own files run, style and connect; nobody may frame the page or send its forms elsewhere.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; \
                      base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// One file of the pages.
#[derive(Clone, Copy)]
struct Asset {
    path: &'static str,
    kind: &'static str,
    text: &'static str,
}

const HTML: &str = "text/html; charset=utf-8";
const SCRIPT: &str = "text/javascript; charset=utf-8";
const STYLE: &str = "text/css; charset=utf-8";

const ASSETS: [Asset; 8] = [
    Asset {
        path: "/",
        kind: HTML,
        text: include_str!("ui/live.html"),
    },
    Asset {
        path: "/setup",
        kind: HTML,
        text: include_str!("ui/setup.html"),
    },
    Asset {
        path: "/ui/live.js",
        kind: SCRIPT,
        text: include_str!("ui/live.js"),
    },
    Asset {
        path: "/ui/session.js",
        kind: SCRIPT,
        text: include_str!("ui/session.js"),
    },
    Asset {
        path: "/ui/stream.js",
        kind: SCRIPT,
        text: include_str!("ui/stream.js"),
    },
    Asset {
        path: "/ui/draw.js",
        kind: SCRIPT,
        text: include_str!("ui/draw.js"),
    },
    Asset {
        path: "/ui/setup.js",
        kind: SCRIPT,
        text: include_str!("ui/setup.js"),
    },
    Asset {
        path: "/ui/live.css",
        kind: STYLE,
        text: include_str!("ui/live.css"),
    },
];

/// The pages and their parts.
pub fn router() -> Router<Context> {
    ASSETS.into_iter().fold(Router::new(), |router, asset| {
        router.route(asset.path, get(move || std::future::ready(asset.into_response())))
    })
}

impl IntoResponse for Asset {
    fn into_response(self) -> Response {
        let headers = [
            (header::CONTENT_TYPE, HeaderValue::from_static(self.kind)),
            (header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY)),
            // The files belong to the program that serves them; another version must not meet them in a cache.
            (header::CACHE_CONTROL, HeaderValue::from_static("no-cache")),
        ];
        (headers, self.text).into_response()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_loaded_from_elsewhere_or_run_inline() {
        for asset in ASSETS {
            for forbidden in [
                "//cdn",
                "https://",
                "onclick=",
                "<style",
                "javascript:",
                "innerHTML",
            ] {
                assert!(
                    !asset.text.contains(forbidden),
                    "{} contains {forbidden}",
                    asset.path
                );
            }
            let inline_scripts = asset.text.matches("<script").count()
                - asset.text.matches("<script type=\"module\" src=\"/ui/").count();
            assert_eq!(inline_scripts, 0, "{}", asset.path);
        }
    }
}
